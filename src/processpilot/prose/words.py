"""Words of a document: markup and damage taken off, titles, identifiers, what words stand for.

Never used on commands: what is carried out stays as it was written.
"""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache

import ftfy

_TAGS = re.compile(
    r"</?(?:br|b|i|u|strong|em|kbd|code|details|summary|sub|sup|a|p|span|div)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"<!--.*?-->")
_CODE = re.compile(r"(?<!`)(`{1,3})(?!`)([^`]+)\1(?!`)")
_IMAGE = re.compile(r"!\[([^\[\]]*)\]\([^()]*\)")
_LINK = re.compile(r"\[([^\[\]]*)\]\(\s*<?([^()\s<>]*)>?[^()]*\)")
_STRONG = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")
_SOFT = re.compile(r"(?<![\w*\\])\*(?=[^\s*])([^*]+?)(?<=[^\s*\\])\*(?![\w*])")
_UNDER = re.compile(r"(?<!\w)_(?=[^\s_])([^_]+?)(?<=[^\s_])_(?!\w)")
_STRUCK = re.compile(r"~~(.+?)~~")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_LOST = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
_FIXES = ftfy.TextFixerConfig(
    uncurl_quotes=False, fix_latin_ligatures=False, fix_character_width=False, explain=False
)
_NUMBERING = re.compile(
    r"^(?:(?:step|phase|stage|scenario|schritt|szenario|drill|part|section|procedure|runbook|"
    r"playbook|option|task|teil|level|stufe|appendix|anhang|übung)\s+(?:[0-9]{1,3}[a-z]?|[a-z]|"
    r"[ivx]{1,4})\s*(?:[:.)–—-]+|$)|[0-9]{1,3}(?:\.[0-9]{1,3}){0,4}[.):]?\s+|[A-Za-z][.)]\s+|"
    r"§\s*[0-9]{1,3}\s*)\s*",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """Return one line of Markdown as people read it, repaired; placeholders in brackets stay."""
    text = _CODE.sub(lambda found: found[2].strip(), _COMMENT.sub("", text))
    text = _IMAGE.sub(r"\1", text)
    text = _LINK.sub(_linked, text)
    text = _TAGS.sub(" ", text)
    for pattern in (_STRONG, _STRONG):
        text = pattern.sub(r"\2", text)
    for pattern in (_SOFT, _UNDER, _STRUCK):
        text = pattern.sub(r"\1", text)
    text = html.unescape(_ESCAPE.sub(r"\1", text))
    return " ".join(mended(text).split())


def _linked(found: re.Match[str]) -> str:
    words, target = found[1].strip(), found[2].removeprefix("mailto:").removeprefix("tel:")
    if not words or words == target:
        return target
    outside = "://" in target or target != found[2]
    return f"{words} ({target})" if outside else words


@lru_cache(maxsize=4096)
def mended(text: str) -> str:
    """Return `text` with what wrong decoding did to it undone, and without control characters."""
    if not text.isascii():
        text = ftfy.fix_text(text, _FIXES)
        text = " ".join(_redecoded(word) for word in text.split(" "))
    return _LOST.sub("", text)


def _redecoded(word: str) -> str:
    """Return a word of symbols that was UTF-8 read as Windows-1252; ftfy leaves short ones."""
    if len(word) < 3 or any(letter.isascii() for letter in word):
        return word
    try:
        return word.encode("sloppy-windows-1252").decode()
    except (UnicodeEncodeError, UnicodeDecodeError):
        return word


def bare(title: str) -> str:
    """Return a title without symbols around it, numbering and a colon at its end."""
    text = _symbols_off(title)
    for _ in range(2):
        shorter = _NUMBERING.sub("", text, count=1).strip()
        text = _symbols_off(shorter) if shorter else text
    return text.rstrip(" :.–—-").strip() or text


def _symbols_off(text: str) -> str:
    begin, end = 0, len(text)
    while begin < end and _is_symbol(text[begin]):
        begin += 1
    while end > begin and _is_symbol(text[end - 1]) and text[end - 1] not in ").]>!?:":
        end -= 1
    return text[begin:end].strip()


def _is_symbol(letter: str) -> bool:
    if letter in "([<§\"'/.~$#`":
        return False
    return unicodedata.category(letter)[0] in "SZPCM"


def slug(text: str, fallback: str) -> str:
    """Return an identifier made of the words of `text`: lower case, digits, hyphens."""
    for letter, written in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss")):
        text = text.replace(letter, written).replace(letter.upper(), written)
    flat = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", flat)
    while words and not words[0][0].isalpha():
        words.pop(0)
    name = "-".join(words)
    if len(name) > 48:
        name = name[:48].rsplit("-", 1)[0]
    return name or fallback


def unique(name: str, taken: set[str]) -> str:
    """Return `name`, or it with a number, not in `taken`; it is then in there."""
    found, n = name, 1
    while found in taken:
        n += 1
        found = f"{name}-{n}"
    taken.add(found)
    return found


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text in lower case, plural forms cut to the singular as well."""
    words = re.findall(r"[^\W_]+", text.lower())
    return frozenset(words) | {word[:-1] for word in words if word.endswith("s") and len(word) > 3}


def shortened(text: str, limit: int = 90) -> str:
    """Return `text`, cut between words where it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    return f"{text[: limit - 1].rsplit(' ', 1)[0]}…"


_SECRET_WORDS = re.compile(r"pass(?:word|wd|phrase)?|secret|token|api_?key|private_?key|credential")
_SECRET_VALUE = re.compile(
    r"((?:pass(?:word|wd|phrase)?|secret|token|api[_-]?key)[a-z_-]*\s*[=:]\s*['\"]?)([^\s'\"<>\[\]$]+)",
    re.IGNORECASE,
)
_ADDRESS_PASSWORD = re.compile(r"([a-z][a-z0-9+.-]*://[^\s:/@'\"]+:)([^\s@/'\"$<>\[\]]+)(@)")


def names_a_secret(name: str) -> bool:
    """Say whether a variable's name says that its value is secret."""
    return _SECRET_WORDS.search(name.lower()) is not None


def without_secrets(text: str) -> str:
    """Return a line for people to read, with what looks like a password left out."""
    return _ADDRESS_PASSWORD.sub(r"\1***\3", _SECRET_VALUE.sub(r"\1***", text))


_VARIABLE = re.compile(r"\b([A-Za-z_][A-Za-z0-9_]*)=('[^']*'|\"[^\"$`]*\"|[^\s'\"$`;&|]+)")


def script_without_secrets(text: str) -> str:
    """Return a script that holds FILL-IN where it gave a secret variable its value."""
    return _VARIABLE.sub(
        lambda found: f"{found[1]}=FILL-IN" if names_a_secret(found[1]) else found[0], text
    )


def address_without_password(text: str) -> str:
    """Return a command whose addresses hold FILL-IN where they held a password."""
    return _ADDRESS_PASSWORD.sub(r"\1FILL-IN\3", text)
