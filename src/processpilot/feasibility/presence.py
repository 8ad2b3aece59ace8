"""Whether what a plan names exists here: programs, scripts, files, units, hosts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from processpilot.feasibility.figures import listed
from processpilot.feasibility.finding import Remark, Severity
from processpilot.feasibility.named import NamedCommand, named_commands, named_hosts
from processpilot.feasibility.placeholders import in_command, is_placeholder
from processpilot.feasibility.shell import is_builtin
from processpilot.feasibility.study import Study
from processpilot.plan.component import Pm2Process, SystemdUnit

_RUNNERS = frozenset({"npm", "pnpm", "yarn"})
_UNIT_VERBS = re.compile(
    r"(?:try-)?(?:reload-or-)?(?:re)?start|stop|reload|status|is-active|is-enabled|enable|disable"
    r"|cat|show|kill"
)
# The last word of these is written, not read.
_WRITERS = frozenset({"cp", "mv", "ln", "install", "rsync", "scp"})
_MAKERS = frozenset({"mkdir", "touch", "tee", "tar", "createdb", "rm", "export", "[", "test"})


@dataclass(frozen=True, slots=True)
class _Lack:
    """Something that is not there: under which code, what it is called, and what to do."""

    code: str
    what: str
    way_out: str
    detail: str = ""


def remarks(study: Study) -> Iterator[Remark]:
    """Yield each thing that is not there once, at the first place that names it."""
    lacks: dict[_Lack, list[NamedCommand]] = {}
    for named in named_commands(study):
        for lack in _lacks(study, named):
            lacks.setdefault(lack, []).append(named)
    for lack, users in lacks.items():
        first = next((user for user in users if user.runs), users[0])
        names = list(dict.fromkeys(user.user for user in users))
        yield Remark(
            lack.code,
            first.place,
            lack.what,
            f"{lack.detail}named by {listed(names)}",
            lack.way_out,
            None if first.runs else Severity.WARNING,
        )
    yield from _units_of_components(study)
    yield from _hosts(study)


def _lacks(study: Study, named: NamedCommand) -> Iterator[_Lack]:
    base = study.loaded.resolve(named.folder) if named.folder else study.loaded.base
    folder = base / named.command.folder
    words = named.command.words
    if words[0] == "cd":
        if len(words) > 1 and not in_command(words[1]) and not study.world.path_exists(folder):
            yield _Lack(
                "file-missing", f"the folder {folder} does not exist here", "Correct the path."
            )
        return
    yield from _program(study, words[0], folder)
    yield from _files(study, words)
    yield from _units_named(study, words)
    if words[0] in _RUNNERS:
        yield from _scripts(study, words, folder)


def _program(study: Study, program: str, folder: Path) -> Iterator[_Lack]:
    if is_builtin(program) or in_command(program):
        return
    if "/" in program:
        path = folder / Path(program).expanduser()
        if not study.world.path_exists(path):
            yield _Lack(
                "command-missing",
                f"{program} does not exist here",
                "Put it there, correct the path, or use a built-in action instead.",
                f"looked for at {path}; ",
            )
    elif not study.world.program_exists(program):
        yield _Lack(
            "command-missing",
            f"{program} does not exist here",
            "Install it, correct the name, or use a built-in action instead.",
            "not found on PATH; ",
        )


def _files(study: Study, words: Sequence[str]) -> Iterator[_Lack]:
    if words[0] in _MAKERS:
        return
    arguments = words[1:-1] if words[0] in _WRITERS else words[1:]
    for word in arguments:
        if not word.startswith(("/", "~/")) or "$" in word or in_command(word):
            continue
        fixed = re.split(r"[*?\[]", word)[0]
        path = Path(fixed if fixed == word else fixed.rpartition("/")[0] or "/").expanduser()
        if not study.world.path_exists(path):
            yield _Lack(
                "file-missing",
                f"{path} does not exist here",
                "Make it, or correct the path.",
            )


def _units_named(study: Study, words: Sequence[str]) -> Iterator[_Lack]:
    units: Sequence[str] = ()
    if words[0] == "systemctl":
        plain = [word for word in words[1:] if not word.startswith("-")]
        units = plain[1:] if plain and _UNIT_VERBS.fullmatch(plain[0]) else ()
    elif words[0] == "journalctl":
        units = [after for word, after in zip(words, words[1:], strict=False) if word == "-u"]
    elif words[0] == "service" and len(words) > 1:
        units = words[1:2]
    for unit in units:
        if "$" not in unit and study.world.unit_exists(unit, "--user" in words) is False:
            yield _missing_unit(unit)


def _missing_unit(unit: str) -> _Lack:
    return _Lack(
        "service-missing",
        f"the unit {unit} does not exist here",
        "Install the unit, or correct the name (`systemctl list-unit-files`).",
        "no unit file of that name; ",
    )


def _units_of_components(study: Study) -> Iterator[Remark]:
    for n, component in enumerate(study.plan.components):
        service = component.service
        place = f"components[{n}].service"
        if isinstance(service, SystemdUnit):
            if study.world.unit_exists(service.unit, service.user) is False:
                lack = _missing_unit(service.unit)
                detail = f"{lack.detail}named by {component.id}"
                yield Remark(lack.code, place, lack.what, detail, lack.way_out)
        elif isinstance(service, Pm2Process) and next(
            _program(study, service.program, study.loaded.base), None
        ):
            yield Remark(
                "command-missing",
                place,
                f"{service.program} does not exist here",
                f"named by {component.id}",
                "Install pm2, or name it with its path (service.program).",
            )


def _scripts(study: Study, words: Sequence[str], folder: Path) -> Iterator[_Lack]:
    plain = [word for word in words[1:] if not word.startswith("-")]
    if len(plain) < 2 or plain[0] not in ("run", "run-script"):
        return
    if "--prefix" in words[:-1]:
        folder = folder / words[words.index("--prefix") + 1]
        plain = [word for word in plain if word != words[words.index("--prefix") + 1]]
    path = folder / "package.json"
    text = study.world.read_text(path)
    mend = "Correct the folder or the script's name, or use a built-in action instead."
    if text is None:
        yield _Lack("script-missing", f"{path} is not there, so no script can run", mend)
    elif plain[1] not in _script_names(text):
        yield _Lack("script-missing", f'{path} has no script "{plain[1]}"', mend)


def _script_names(text: str) -> frozenset[str]:
    try:
        document = json.loads(text)
    except ValueError:
        return frozenset()
    scripts = document.get("scripts") if isinstance(document, dict) else None
    return frozenset(scripts) if isinstance(scripts, dict) else frozenset()


def _hosts(study: Study) -> Iterator[Remark]:
    places: dict[str, str] = {}
    for place, host in named_hosts(study):
        if not is_placeholder(host) and not in_command(host) and "/" not in host:
            places.setdefault(host, place)
    known = study.world.hosts_known(places)
    for host, place in places.items():
        if known.get(host) is False:
            people_only = place.startswith(("providers", "procedures", "vendors", "follow_ups"))
            yield Remark(
                "host-unknown",
                place,
                f"the name {host} leads nowhere from here",
                "the system's resolver knows no address for it",
                "Correct the name, or write the address itself: names may be gone on the day.",
                Severity.WARNING if people_only else None,
            )
