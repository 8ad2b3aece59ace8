"""The draft as YAML that people like to read: block style, remarks as comments."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from functools import lru_cache

import yaml

from processpilot.prose.draft import Fields, Leaf, Many, Node, Remark

_WIDTH = 100
_PLAIN = re.compile(r"[A-Za-z0-9À-ž/(.][\w À-ž/().,;+=%$'’–…→&<>!?@\"^~:#|*\[\]{}-]*")
_PRINTABLE = re.compile(r"[\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPECIAL = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def yaml_text(root: Fields) -> str:
    """Return the document; an empty line stands before each of its parts."""
    lines: list[str] = []
    for key, inner in root.entries:
        block = isinstance(inner, Fields | Many)
        if block and lines:
            lines.append("")
        lines += _entry(key, inner, 0)
    return "\n".join(lines) + "\n"


def _entry(key: str, inner: Node, indent: int) -> list[str]:
    """Return the lines of one key with its value."""
    pad = " " * indent
    lines = list(_comments(inner.remarks, indent))
    name = scalar(key)
    match inner:
        case Leaf(value):
            lines += _leaf(f"{pad}{name}:", value, indent)
        case Many(items) if not items:
            lines.append(f"{pad}{name}: []")
        case Fields(entries) if not entries:
            lines.append(f"{pad}{name}: {{}}")
        case Many(items) if (flow := _flow(inner)) and indent + len(name) + len(flow) < _WIDTH - 2:
            lines.append(f"{pad}{name}: {flow}")
        case Many(items):
            lines.append(f"{pad}{name}:")
            for item in items:
                lines += _item(item, indent + 2)
        case Fields(entries):
            lines.append(f"{pad}{name}:")
            for inner_key, part in entries:
                lines += _entry(inner_key, part, indent + 2)
    return lines


def _item(item: Node, indent: int) -> list[str]:
    """Return the lines of one entry of a list."""
    pad = " " * indent
    lines = list(_comments(item.remarks, indent))
    match item:
        case Fields(entries) if entries:
            inner = [line for key, value in entries for line in _entry(key, value, indent + 2)]
            first = next(n for n, line in enumerate(inner) if not line.lstrip().startswith("#"))
            # A remark on the first key goes above the whole entry.
            lines += [line[2:] for line in inner[:first]]
            lines.append(f"{pad}- {inner[first].lstrip()}")
            lines += inner[first + 1 :]
        case Fields():
            lines.append(f"{pad}- {{}}")
        case Many(items):
            flow = _flow(item)
            lines.append(f"{pad}-{'' if flow is None else f' {flow}'}")
            for inner_item in items if flow is None else ():
                lines += _item(inner_item, indent + 2)
        case Leaf(value):
            lines += _leaf(f"{pad}-", value, indent)
    return lines


def _leaf(head: str, value: object, indent: int) -> list[str]:
    """Return a value behind its key; a script of several lines as it was written."""
    if isinstance(value, str) and "\n" in value and _fits_literally(value):
        pad = " " * (indent + 2)
        chomp = "" if value.endswith("\n") else "-"
        body = value.removesuffix("\n").split("\n")
        return [f"{head} |{chomp}", *(f"{pad}{line}" if line else "" for line in body)]
    return [f"{head} {scalar(value)}"]


def _fits_literally(text: str) -> bool:
    body = text.removesuffix("\n")
    return (
        body != ""
        and not body.startswith((" ", "\n"))
        and not body.endswith("\n")
        and all(_PRINTABLE.fullmatch(letter) for letter in body if letter not in "\n")
        and all(line == "" or line.strip() for line in body.split("\n"))
    )


def _flow(many: Many) -> str | None:
    """Return a list of single values on one line, or None where it is more than that."""
    parts = []
    for item in many.items:
        if not isinstance(item, Leaf) or item.remarks:
            return None
        if isinstance(item.value, str) and "\n" in item.value:
            return None
        text = scalar(item.value)
        if not text.startswith('"') and re.search(r"[,\[\]{}:#&*!|>%@\"'?]", text):
            text = _quoted(str(item.value))
        parts.append(text)
    if any(isinstance(item, Leaf) and len(str(item.value)) > 60 for item in many.items[1:]):
        return (
            None if len(many.items) > 1 and " " in str(many.items[0]) else f"[{', '.join(parts)}]"
        )
    return f"[{', '.join(parts)}]"


def _comments(remarks: tuple[Remark, ...], indent: int) -> Iterator[str]:
    pad = " " * indent
    for remark in remarks:
        text = "".join(c if _PRINTABLE.fullmatch(c) else " " for c in remark.text)
        words = f"{remark.tone}: {text}"
        width = max(40, _WIDTH - indent - 2)
        for line in textwrap.wrap(words, width, break_on_hyphens=False, break_long_words=False):
            yield f"{pad}# {line}"


@lru_cache(maxsize=8192)
def _plain_enough(text: str) -> bool:
    """Say whether YAML reads `text` without quotes as just that text."""
    if not _PLAIN.fullmatch(text) or text != text.strip() or len(text) > 1000:
        return False
    if ": " in text or " #" in text or text.endswith(":"):
        return False
    try:
        return bool(yaml.safe_load(f"k: {text}") == {"k": text})
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError):
        return False


def scalar(value: object) -> str:
    """Return one value as YAML writes it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
    text = str(value)
    return text if _plain_enough(text) else _quoted(text)


def _quoted(text: str) -> str:
    return '"' + "".join(_letter(letter) for letter in text) + '"'


def _letter(letter: str) -> str:
    if letter in _SPECIAL:
        return _SPECIAL[letter]
    if _PRINTABLE.fullmatch(letter) and letter not in "\u2028\u2029\ufeff":
        return letter
    code = ord(letter)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
