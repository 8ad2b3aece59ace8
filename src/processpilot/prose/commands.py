"""Commands in a document: blocks of shell and pieces in backticks, as steps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from processpilot.prose.draft import Claim, Fate, understood
from processpilot.prose.known import Known
from processpilot.prose.outline import Code, Line, block_lines
from processpilot.prose.shell import SHELLS, Command, Saying, read_script, split_line
from processpilot.prose.stepdraft import GROUP, StepDraft, command_step, manual_step
from processpilot.prose.words import bare, shortened, without_secrets

_PROGRAM_NAMES = (
    "ansible ansible-playbook apt apt-get aws az barman bash borg cat chmod chown consul cp "
    "createdb curl df dig docker docker-compose dropdb du find gcloud git grep gunzip gzip "
    "haproxy helm heroku iptables ip journalctl kill kubectl ls make mount mkdir mv mysql "
    "netstat neon nginx node npm npx nslookup patronictl pg_basebackup pg_ctl pg_ctlcluster "
    "pg_dump pg_dumpall pg_isready pg_resetwal pg_restore pgbackrest php ping pip pm2 pnpm "
    "podman processpilot ps pscale psql python python3 railway rake redis-cli repmgr restic "
    "rm rsync ruby rails scp sed service sh ss ssh sudo supabase supervisorctl systemctl tail "
    "tar terraform top touch ufw umount vacuumdb wal-g wget yarn zfs "
)
_PROGRAMS = frozenset(_PROGRAM_NAMES.split())
MEMORY_PROGRAMS = frozenset({"npm", "npx", "yarn", "pnpm", "make", "docker-compose", "git"})


@dataclass
class Reading:
    """What is remembered while one scenario is read: when windows begin, the folder, leftovers."""

    known: Known
    moments_s: set[float] = field(default_factory=lambda: {0.0})
    folder: str | None = None
    folder_line: int = 0
    unused: list[Claim] = field(default_factory=list)

    @property
    def file(self) -> str:
        """The document's name."""
        return self.known.file


def is_command(text: str) -> bool:
    """Say whether a piece of code in a sentence is something to type into a shell."""
    words = text.split()
    if not words or "\n" in text:
        return False
    while len(words) > 1 and (
        words[0] in ("sudo", "$", "doas") or re.match(r"[A-Z_][A-Z0-9_]*=\S", words[0])
    ):
        words.pop(0)
    first = words[0]
    if not re.fullmatch(r"[\w./~+-]+", first):
        return False
    if re.search(r"\.(?:sh|bash)$", first):
        return True
    if len(words) == 1:
        return first.startswith("./") or first in ("pg_isready", "patronictl")
    path = first.startswith(("./", "/", "~/", "../")) or re.fullmatch(r"[\w-]+/[\w./-]+", first)
    return first in _PROGRAMS or bool(path) or any(re.match(r"--?\w", w) for w in words[1:])


def code_steps(block: Code, reading: Reading) -> list[StepDraft]:
    """Return the steps of a block of code; what is no shell is for people."""
    if not any(text.strip() for _, text in block.lines):
        return [manual_step("An empty block of code", block.fences)] if block.fences else []
    if block.language not in SHELLS and not (block.language == "" and _is_shell(block)):
        text = "\n".join(line for _, line in block.lines).strip("\n")
        kind = block.language or "text"
        step = manual_step(without_secrets(text), block_lines(block), f"{kind}, not shell")
        return [replace(step, title=shortened(f"Use this {kind}: {step.title}"))]
    prompted = block.language in ("console", "shell-session", "shellsession")
    script = read_script(block.lines, prompted=prompted)
    found = [_part_step(part, reading) for part in script.parts]
    steps = [step for step in found if step is not None]
    if not steps:
        return [manual_step(script.about or script.name or "A script", block_lines(block))]
    head = (*understood("a part of the block", *block.fences),)
    if script.head_lines:
        claims = (*head, *understood("a script's name and purpose", *script.head_lines))
        title = script.name or "Script"
        return [
            StepDraft(
                title, GROUP, tuple(steps), claims, notes=(script.about,) * bool(script.about)
            )
        ]
    steps[0] = replace(steps[0], claims=(*steps[0].claims, *head))
    return _distinct(steps)


def _distinct(steps: list[StepDraft]) -> list[StepDraft]:
    """Return steps that share a comment with what tells them apart in their titles."""
    titles = [step.title for step in steps]
    return [
        replace(step, title=shortened(f"{step.title}: {step.command.text.splitlines()[0]}"))
        if step.command and step.command.title and titles.count(step.title) > 1
        else step
        for step in steps
    ]


def _part_step(part: Command | Saying, reading: Reading) -> StepDraft | None:
    if isinstance(part, Command):
        return command_step(remembered(part, reading), reading.file)
    if part.manual:
        return manual_step(without_secrets(part.text), part.lines, part.why)
    reading.unused += (Claim(n, Fate.UNUSED, part.why) for n in part.lines)
    return None


def remembered(command: Command, reading: Reading) -> Command:
    """Return a command in the folder that an earlier block went to, if it needs one."""
    if command.folder is not None:
        reading.folder = command.folder
        reading.folder_line = next(n for n, why in command.from_lines if "folder" in why)
        return command
    first = command.text.removeprefix("sudo ").split()[0] if command.text.split() else ""
    if reading.folder and (first in MEMORY_PROGRAMS or first.startswith(("./", "../"))):
        why = f"the folder is the one that line {reading.folder_line} went to last"
        return replace(command, folder=reading.folder, remarks=(*command.remarks, why))
    return command


def _is_shell(block: Code) -> bool:
    """Say whether a block without a language looks like commands."""
    lines = [t.strip() for _, t in block.lines if t.strip() and not t.strip().startswith("#")]
    lines = [re.sub(r"^[$%]\s+", "", line) for line in lines]
    good = sum(is_command(line) or line.startswith(("cd ", "export ")) for line in lines)
    return bool(lines) and good * 2 >= len(lines)


def inline_commands(line: Line) -> list[Command]:
    """Return the commands that stand in backticks in a line of text."""
    found = (split_line(code, line.number) for code in line.codes if is_command(code))
    return [part for part in found if isinstance(part, Command)]


def commanded(
    title: str, line: Line, commands: Sequence[Command], reading: Reading
) -> list[StepDraft]:
    """Return the commands of a line; it is their title, and one line may hold several."""
    steps = []
    for n, command in enumerate(commands):
        words = without_secrets(bare(title))
        named = words if len(commands) == 1 else f"{words} ({n + 1} of {len(commands)})"
        steps.append(command_step(remembered(replace(command, title=named), reading), reading.file))
    return steps
