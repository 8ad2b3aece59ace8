"""Lines of shell before they are commands: which belong together, which need a shell, what is said.

Only what the shell's grammar says of quotes, here-documents and expansions is known here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from processpilot.prose.words import plain

PLACEHOLDER = re.compile(
    r"<[A-Za-z][\w .:/-]*>|\[[A-Z][A-Z0-9_ -]{2,}\]|\{\{\s*[\w.-]+\s*\}\}|"
    r"\b[A-Z]{2,}(?:_[A-Z0-9]+)+\b|\bYOUR[_-][A-Z_-]+\b|(?<![\w/])/path/to/\S+"
)
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)([A-Za-z_]\w*)\1")


def needs_shell(line: str) -> bool:
    """Say whether a shell has to read the line: pipes, expansions, globs, redirections, lists."""
    line = PLACEHOLDER.sub("X", line)
    quote, n = "", 0
    while n < len(line):
        letter = line[n]
        if letter == "\\" and quote != "'":
            n += 2
            continue
        if quote:
            if letter == quote:
                quote = ""
            elif quote == '"' and letter in "$`":
                return True
        elif letter in "'\"":
            quote = letter
        elif _is_special(line, n):
            return True
        n += 1
    return False


def _is_special(line: str, n: int) -> bool:
    """Say whether the letter at `n`, outside quotes, means something to a shell."""
    letter, before, rest = line[n], line[n - 1 : n] if n else "", line[n:]
    if letter in "|&;<>()$`*":
        return True
    if letter == "~":
        return before in ("", " ")
    if letter == "[":
        return re.match(r"\[\S+\]", rest) is not None
    return letter == "{" and re.match(r"\{[^{}\s]*(?:,|\.\.)[^{}\s]*\}", rest) is not None


def unindented(lines: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return the lines without what all of them are indented by."""
    filled = [text for _, text in lines if text.strip()]
    by = min((len(text) - len(text.lstrip()) for text in filled), default=0)
    return [(n, text[by:].rstrip()) for n, text in lines]


def header_of(
    lines: list[tuple[int, str]],
) -> tuple[str, str, tuple[int, ...], list[tuple[int, str]]]:
    """Return a script's name, what it is for, the lines that say so, and the others."""
    if not lines or not lines[0][1].startswith("#!"):
        return "", "", (), lines
    name, about, n = "", [], 1
    while n < len(lines) and lines[n][1].startswith("#"):
        words = lines[n][1].lstrip("# ").strip()
        if not name and re.fullmatch(r"[\w./-]+\.(?:sh|bash)", words):
            name = words
        elif words:
            about.append(words)
        n += 1
    return name, plain(" ".join(about)), tuple(number for number, _ in lines[:n]), lines[n:]


def without_comment(text: str) -> tuple[str, str]:
    """Return a line without the comment behind it, and the comment."""
    quote = ""
    for n, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter == "#" and n and text[n - 1].isspace():
            return text[:n].rstrip(), plain(text[n:].lstrip("# "))
    return text, ""


def logical_lines(lines: Sequence[tuple[int, str]]) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yield commands with all their lines: continued ones, here-documents, open quotes."""
    n = 0
    while n < len(lines):
        begin = n
        text = lines[n][1]
        if not text.lstrip().startswith("#"):
            while text.endswith("\\") and n + 1 < len(lines):
                n += 1
                text = f"{text[:-1].rstrip()} {lines[n][1].strip()}"
            if found := _HEREDOC.search(text):
                n, text = _with_heredoc(lines, n, text, found[2])
            elif _quote_is_open(text):
                n, text = _with_quote(lines, n, text)
        yield tuple(number for number, _ in lines[begin : n + 1]), text
        n += 1


def _with_heredoc(
    lines: Sequence[tuple[int, str]], n: int, text: str, mark: str
) -> tuple[int, str]:
    for m in range(n + 1, len(lines)):
        if lines[m][1].strip() == mark:
            return m, "\n".join([text, *(line for _, line in lines[n + 1 : m + 1])])
    return n, text


def _with_quote(lines: Sequence[tuple[int, str]], n: int, text: str) -> tuple[int, str]:
    joined = text
    for m in range(n + 1, min(len(lines), n + 40)):
        joined = f"{joined}\n{lines[m][1]}"
        if not _quote_is_open(joined):
            return m, joined
    return n, text


def _quote_is_open(text: str) -> bool:
    try:
        shlex.split(text)
    except ValueError as error:
        return "quotation" in str(error)
    return False
