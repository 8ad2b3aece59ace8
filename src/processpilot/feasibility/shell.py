"""Which programs a command line runs, read without running anything.

A script given to a shell is taken apart into its simple commands. What cannot be read for certain
is left out, so that no program is called missing that no one names.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh"})
_SEPARATOR = frozenset("();|&`\n")
_REDIRECTIONS = re.compile(r"\d*(?:[<>]{1,3}&?|&>{1,2}|>\|)")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_OPENERS = frozenset({"if", "then", "else", "elif", "do", "while", "until", "{", "!", "time"})
_SKIPPED = frozenset({"for", "case", "select", "function", "fi", "done", "esac", "}", "in"})
_BUILTINS = re.compile(
    r":|\.|\[\[?|alias|bg|cd|command|declare|echo|eval|exec|exit|export|false|fg|getopts|hash|jobs"
    r"|kill|let|local|printf|pwd|read|readonly|return|set|shift|source|test|trap|true|type|typeset"
    r"|ulimit|umask|unalias|unset|wait"
)
# Programs that run another one, with those of their options that take a value.
_WRAPPERS = {
    "sudo": frozenset({"-u", "-g", "-h", "-p", "-C"}),
    "env": frozenset({"-u", "-C", "-S"}),
    "nohup": frozenset[str](),
    "nice": frozenset({"-n"}),
    "ionice": frozenset({"-c", "-n"}),
    "timeout": frozenset({"-s", "-k"}),
    "exec": frozenset({"-a"}),
    "command": frozenset[str](),
}
_DURATION = re.compile(r"\d+(?:\.\d+)?[smhd]?")


@dataclass(frozen=True, slots=True)
class SimpleCommand:
    """A program with its arguments; `folder` is where, relative to where its script begins.

    What a program reads instead of its input stays among the words, after a "<".
    """

    words: tuple[str, ...]
    folder: str = ""

    @property
    def program(self) -> str:
        """The first word."""
        return self.words[0]


def commands_of(argv: Sequence[str]) -> tuple[SimpleCommand, ...]:
    """Return the programs that an argument list runs, wrappers before what they wrap."""
    script = _script_of(argv)
    if script is None:
        return tuple(_unwrapped(tuple(argv), ""))
    shell = SimpleCommand((argv[0],))
    return (shell, *commands_in(script))


def commands_in(script: str) -> tuple[SimpleCommand, ...]:
    """Return the programs that a shell script runs, in the order of the text."""
    found: list[SimpleCommand] = []
    folder = ""
    for words in _simple(script):
        if words[0] == "cd" and len(words) > 1 and "$" not in words[1]:
            folder = posixpath.normpath(posixpath.join(folder, words[1]))
            found.append(SimpleCommand(words, folder))
            continue
        found.extend(_unwrapped(words, folder))
    return tuple(found)


def is_builtin(program: str) -> bool:
    """Return whether a shell knows the word itself, or it is only known when it runs."""
    return _BUILTINS.fullmatch(program) is not None or "$" in program or "*" in program


def _script_of(argv: Sequence[str]) -> str | None:
    if posixpath.basename(argv[0]) not in _SHELLS:
        return None
    for n, word in enumerate(argv[1:], 1):
        if word.startswith("-") and not word.startswith("--") and "c" in word:
            return argv[n + 1] if n + 1 < len(argv) else None
        if not word.startswith("-"):
            return None
    return None


def _unwrapped(words: tuple[str, ...], folder: str) -> Iterator[SimpleCommand]:
    while words:
        yield SimpleCommand(words, folder)
        values = _WRAPPERS.get(words[0])
        if values is None:
            return
        words = _inner(words[1:], values, timed=words[0] == "timeout")


def _inner(words: tuple[str, ...], values: frozenset[str], *, timed: bool) -> tuple[str, ...]:
    """Return what is left after a wrapper's options, assignments and, if `timed`, its duration."""
    n = 0
    while n < len(words):
        if words[n] in values:
            n += 2
        elif words[n].startswith("-") or _ASSIGNMENT.match(words[n]):
            n += 1
        elif timed and _DURATION.fullmatch(words[n]):
            n, timed = n + 1, False
        else:
            return words[n:]
    return ()


def _simple(script: str) -> Iterator[tuple[str, ...]]:
    for line in script.replace("\\\n", " ").splitlines():
        pipeline: list[list[str]] = [[]]
        depth = 0
        for word in (*_tokens(line), "\n"):
            if not _SEPARATOR.issuperset(word):
                pipeline[-1].append(word)
            elif word == "|":
                pipeline.append([])
            else:
                if not word.startswith(")") or depth > 0:  # else it ends the pattern of a case
                    for words in pipeline:
                        yield from _command(words)
                depth += word.count("(") - word.count(")")
                pipeline = [[]]


def _tokens(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&`")
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:  # a quote that is closed on another line
        return []


def _command(line: Sequence[str]) -> Iterator[tuple[str, ...]]:
    words: list[str] = []
    skip = False
    for word in line:
        if skip:
            skip = False
        elif word != "<" and _REDIRECTIONS.fullmatch(word):
            skip = True
            if words and words[-1].isdigit():
                words.pop()
        elif words or not (word in _OPENERS or _ASSIGNMENT.match(word)):
            words.append(word)
    words = [one for one in words if one != "$"]
    if words and words[0] not in _SKIPPED and not words[0].endswith(("()", "{")):
        yield tuple(words)
