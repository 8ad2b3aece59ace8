"""Shell blocks as people paste them into runbooks: one command after the other, as argument lists.

Comments become titles, `cd` the folder and `export` the environment of what follows. What needs a
shell is kept as `sh -c LINE`. Nothing is run, and no command is changed, but for passwords in
addresses, which are left out.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from processpilot.prose.shell_lines import (
    PLACEHOLDER,
    header_of,
    logical_lines,
    needs_shell,
    unindented,
    without_comment,
)
from processpilot.prose.words import (
    address_without_password,
    names_a_secret,
    plain,
    script_without_secrets,
)

SHELLS = frozenset(
    {"bash", "sh", "shell", "zsh", "console", "shell-session", "shellsession", "terminal", "bsh"}
)
_CONTROL = re.compile(
    r"^\s*(?:if|for|while|until|case|select|function)\s|^\s*[\w-]+\s*\(\)\s*\{", re.MULTILINE
)
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_SETTING = re.compile(r"[A-Za-z_][\w.]*\s+=\s+\S.*|\[[\w.-]+\]$")
_INTERACTIVE = re.compile(
    r"(?:sudo\s+)?(?:ssh\s+(?:-\S+\s+)*\S+|su(?:\s+-)?(?:\s+\w+)?|sudo\s+-[iEsu]+(?:\s+\w+)*|"
    r"sudo\s+su\b.*|exit|logout|(?:vi|vim|nano|less|top|htop|tmux|screen|watch)(?:\s.*)?|"
    r"tail\s+-[fF]\b.*|psql|psql\s+[\w-]+|psql\s+-[hUdp]\s+\S+|journalctl\s.*-f\b.*)"
)
_SHELL_OPTIONS = re.compile(r"set\s+[-+][a-z]+(?:\s+(?:[-+]o\s+)?\w+)?\s*;?")


@dataclass(frozen=True, slots=True)
class Command:
    """One command; `lines` are the lines it stands on, `from_lines` those that gave it more."""

    text: str
    argv: tuple[str, ...]
    lines: tuple[int, ...]
    title: str = ""
    folder: str | None = None
    env: tuple[tuple[str, str], ...] = ()
    from_lines: tuple[tuple[int, str], ...] = ()
    remarks: tuple[str, ...] = ()
    interactive: bool = False

    @property
    def placeholders(self) -> tuple[str, ...]:
        """What has to be filled in by hand."""
        return tuple(dict.fromkeys(found[0] for found in PLACEHOLDER.finditer(self.text)))


@dataclass(frozen=True, slots=True)
class Saying:
    """Lines of a block that are no command: for people (manual) or of no use, with the reason."""

    text: str
    lines: tuple[int, ...]
    manual: bool
    why: str


@dataclass(frozen=True, slots=True)
class Script:
    """A block of shell, read: `name` and `about` come from the comments under its first line."""

    parts: tuple[Command | Saying, ...]
    name: str = ""
    about: str = ""
    head_lines: tuple[int, ...] = ()


@dataclass
class _Scene:
    """What `cd`, `export` and comments have set for the commands that follow."""

    folder: str | None = None
    folder_line: int = 0
    env: dict[str, tuple[str, int]] = field(default_factory=dict)
    prelude: list[tuple[int, str]] = field(default_factory=list)
    title: str = ""
    title_lines: list[int] = field(default_factory=list)
    titled: int = 0
    echoed: bool = False
    settings: list[int] = field(default_factory=list)
    loose: list[int] = field(default_factory=list)


def read_script(lines: Sequence[tuple[int, str]], *, prompted: bool = False) -> Script:
    """Return what a block of shell says; `prompted` blocks show prompts and output."""
    lines = unindented(lines)
    name, about, head, rest = header_of(lines)
    whole = "\n".join(text for _, text in rest)
    if _CONTROL.search(whole):
        numbers = tuple(n for n, text in rest if text.strip())
        shell = "bash" if head and "bash" in lines[0][1] else "sh"
        body = whole.strip("\n")
        note = "a script with branches or loops is kept as a whole"
        title = f"Run {name}" if name else about or "Run the script"
        command = Command(body, (shell, "-c", body), numbers, title, remarks=(note,))
        return Script((command,), name, about, head)
    if prompted or any(text.startswith("$ ") for _, text in rest):
        outputs, rest = _without_prompts(rest)
        return Script((*_parts(rest), *outputs), name, about, head)
    return Script(tuple(_parts(rest)), name, about, head)


def split_line(text: str, number: int) -> Command | Saying | None:
    """Return one line of shell as a command, alone; None for a comment or nothing."""
    parts = list(_parts([(number, text)]))
    return parts[0] if parts else None


def _without_prompts(
    lines: Sequence[tuple[int, str]],
) -> tuple[list[Saying], list[tuple[int, str]]]:
    """Return the output that a block shows, and its commands without their prompts."""
    outputs: list[Saying] = []
    commands: list[tuple[int, str]] = []
    for number, text in lines:
        found = re.match(r"(?:[\w.@:~/-]*[$#%]|>)\s+(.*)", text)
        if found:
            commands.append((number, found[1]))
        elif commands and commands[-1][1].endswith("\\"):
            commands.append((number, text))
        elif text.strip():
            why = "output that the document shows; the plan does not compare it"
            outputs.append(Saying(text.strip(), (number,), False, why))
    return outputs, commands


def _parts(lines: Sequence[tuple[int, str]]) -> Iterator[Command | Saying]:
    scene = _Scene()
    for numbers, text in logical_lines(lines):
        if not text.strip():
            _end_paragraph(scene)
        elif text.lstrip().startswith("#"):
            _entitle(scene, text.lstrip("# \t"), numbers)
        else:
            yield from _one(scene, text.strip(), numbers)
    if scene.title_lines and not scene.titled:
        why = "words for the screen" if scene.echoed else "a comment without a command"
        yield Saying(scene.title, tuple(scene.title_lines), not scene.echoed, why)
    left = tuple(dict.fromkeys([*scene.loose, *scene.settings]))
    if left:
        texts = dict(lines)
        words = "; ".join(texts.get(n, "").strip("# ") for n in left)
        yield Saying(words, left, True, "sets something for commands that do not follow")


def _end_paragraph(scene: _Scene) -> None:
    """Forget the title: it was for the lines just above the empty one."""
    if not scene.titled and scene.settings:
        scene.loose += scene.title_lines
        scene.title, scene.title_lines = "", []
    if scene.titled:
        scene.title, scene.title_lines, scene.titled = "", [], 0


def _entitle(scene: _Scene, words: str, numbers: tuple[int, ...]) -> None:
    words = plain(words)
    if scene.titled:
        scene.title, scene.title_lines, scene.titled = "", [], 0
    scene.title = f"{scene.title} {words}".strip()
    scene.title_lines += numbers
    scene.echoed = False


def _one(scene: _Scene, text: str, numbers: tuple[int, ...]) -> Iterator[Command | Saying]:
    """Yield what one line is, or let it set something for those that follow."""
    text, comment = without_comment(text)
    if _SETTING.fullmatch(text):
        yield _saying(scene, f"Set {text}", numbers, True, "a setting, not a command")
    elif _SHELL_OPTIONS.fullmatch(text):
        why = "a setting of the shell; every command is a step of its own and its end is looked at"
        yield Saying(text, numbers, False, why)
    elif found := re.fullmatch(r"(?:cd|pushd)\s+(\S+|'[^']+'|\"[^\"$`]+\")", text):
        _go(scene, found[1], numbers)
    elif found := re.fullmatch(r"cd\s+([^\s;&|]+)\s*&&\s*([^&|;]+)", text):
        inner = _inside(scene, found[1], numbers)
        yield from _one(inner, found[2].strip(), numbers)
        scene.titled = max(scene.titled, inner.titled)
    elif _is_environment(text):
        _remember_environment(scene, text, numbers)
    elif re.match(r"(?:source|\.)\s+\S+$", text):
        scene.prelude += [(numbers[0], text)]
        scene.settings += numbers
    elif (found := re.fullmatch(r"echo\s+(['\"])([^$`'\"]+)\1", text)) and not scene.title:
        _entitle(scene, found[2].rstrip("."), numbers)
        scene.echoed = True
    else:
        yield _command(scene, text, comment, numbers)


def _inside(scene: _Scene, folder: str, numbers: tuple[int, ...]) -> _Scene:
    """Return a scene of its own in that folder, for one command; the title is shared."""
    inner = replace(scene, env=dict(scene.env), prelude=list(scene.prelude), settings=[])
    _go(inner, folder, numbers)
    inner.settings = []
    return inner


def _go(scene: _Scene, folder: str, numbers: tuple[int, ...]) -> None:
    folder = folder.strip("'\"")
    if re.search(r"[$`*?]", folder) or folder == "-":
        scene.prelude.append((numbers[0], f"cd {folder}"))
    elif folder.startswith(("/", "~")) or scene.folder is None:
        scene.folder, scene.folder_line = posixpath.normpath(folder), numbers[0]
    else:
        scene.folder = posixpath.normpath(posixpath.join(scene.folder, folder))
        scene.folder_line = numbers[0]
    scene.settings += numbers


def _is_environment(text: str) -> bool:
    words = text.removeprefix("export ").strip()
    if words == text and not _ASSIGNMENT.fullmatch(text):
        return False
    try:
        return all(_ASSIGNMENT.fullmatch(word) for word in shlex.split(words)) and bool(words)
    except ValueError:
        return False


def _remember_environment(scene: _Scene, text: str, numbers: tuple[int, ...]) -> None:
    scene.settings += numbers
    words = text.removeprefix("export ").strip()
    if needs_shell(words):
        scene.prelude.append((numbers[0], text))
        return
    for word in shlex.split(words):
        name, _, value = word.partition("=")
        scene.env[name] = (value, numbers[0])


def _command(scene: _Scene, text: str, comment: str, numbers: tuple[int, ...]) -> Command | Saying:
    if _INTERACTIVE.fullmatch(text):
        return _saying(scene, text, numbers, True, "needs a person at a terminal")
    given: list[tuple[int, str]] = []
    if scene.title_lines and not scene.titled:
        given += [(n, "title") for n in scene.title_lines]
    scene.titled += 1
    env, remarks = _environment(scene, given)
    clean = address_without_password(text)
    if clean != text:
        remarks.append("a password in an address was left out; put it where the program reads it")
    argv, inline = _argv(clean)
    for name, value in inline:
        env[name] = _told_value(name, value, remarks)
    if scene.prelude:
        given += [(n, "preparation") for n, _ in scene.prelude]
        script = "\n".join([*(line for _, line in scene.prelude), clean])
        argv = ("sh", "-c", script)
    if argv[:2] == ("sh", "-c") and (hidden := script_without_secrets(argv[2])) != argv[2]:
        remarks.append("a secret was left out; put it where the program reads it")
        argv = ("sh", "-c", hidden)
    if scene.folder is not None:
        given.append((scene.folder_line, f"folder {scene.folder}"))
    given += [(n, "preparation") for n in scene.loose]
    scene.settings.clear()
    scene.loose.clear()
    title = scene.title or comment
    if scene.title and comment:
        title = f"{scene.title}: {comment}"
    return Command(
        script_without_secrets(clean),
        argv,
        numbers,
        title,
        scene.folder,
        tuple(env.items()),
        tuple(given),
        tuple(remarks),
    )


def _environment(scene: _Scene, given: list[tuple[int, str]]) -> tuple[dict[str, str], list[str]]:
    env: dict[str, str] = {}
    remarks: list[str] = []
    for name, (value, line) in scene.env.items():
        env[name] = _told_value(name, value, remarks)
        given.append((line, f"environment variable {name}"))
    return env, remarks


def _told_value(name: str, value: str, remarks: list[str]) -> str:
    """Return a variable's value for the plan; a secret only by reference."""
    clean = address_without_password(value)
    if names_a_secret(name) and not value.startswith(("file:", "env:")):
        remarks.append(f"{name} is a secret: it is read from the environment, not kept here")
        return f"env:{name}"
    if clean != value:
        remarks.append(f"the password in {name} was left out")
    return clean


def _saying(scene: _Scene, text: str, numbers: tuple[int, ...], manual: bool, why: str) -> Saying:
    lines = numbers
    if scene.title_lines and not scene.titled:
        lines = (*scene.title_lines, *numbers)
        text = f"{scene.title}: {text}"
        scene.titled += 1
    return Saying(text, lines, manual, why)


def _argv(text: str) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """Return a line's argument list and the variables set in front of it."""
    if needs_shell(text):
        return ("sh", "-c", text), []
    try:
        words = shlex.split(text)
    except ValueError:
        return ("sh", "-c", text), []
    env = []
    while len(words) > 1 and (found := _ASSIGNMENT.fullmatch(words[0])):
        env.append((found[1], found[2]))
        words.pop(0)
    if not words or not words[0]:
        return ("sh", "-c", text), []
    return tuple(words), env
