"""Taking secrets out of text before it is stored or shown.

Secrets that are known are found in the forms in which programs print them: as they are, in an
address, in JSON. Besides, whatever looks like a secret goes: passwords in addresses, values of
fields with telling names, authorization headers, AWS and age keys, private key blocks. What looks
like none and is not known stays; nobody should rely on patterns alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MARK = b"***"
LINE_BYTES = 1 << 20
"""A line that is longer is cut for the patterns; known secrets are found across the cut."""

_OVERLAP_BYTES = 64 << 10
_NAMES = (
    rb"password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
    rb"|credentials?"
)
_VALUE = rb"(?:\\\"([^\"\\\n]*)|\"((?:[^\"\\\n]|\\.)*)|'([^'\n]*)|([^\s,;&\"'}\])]+))"

# Words of which one is there wherever the pattern matches, in lower case; then the pattern, whose
# groups are replaced. None begins with an open repetition: a line of a megabyte stays quick.
_TELLING = (b"passw", b"passphrase", b"pwd", b"secret", b"token", b"key", b"credential")
_PATTERNS = tuple(
    (words, re.compile(pattern, re.IGNORECASE | flags))
    for words, pattern, flags in (
        ((b"://",), rb"://[^\s/:@]{0,256}:([^\s/]+)@", 0),
        (
            _TELLING,
            rb"(?:" + _NAMES + rb")[\w.-]{0,64}\\?[\"']?[ \t]{0,8}[=:][ \t]{0,8}" + _VALUE,
            0,
        ),
        (_TELLING, rb"--[\w-]{0,32}?(?:" + _NAMES + rb")[\w-]{0,32}[ \t]+" + _VALUE, 0),
        (
            (b"authorization",),
            rb"authorization\\?[\"']?[ \t]{0,8}[:=][ \t\\]{0,8}[\"']?([^\r\n\"']+)",
            0,
        ),
        ((b"bearer",), rb"\bbearer[ \t]+([a-z0-9._~+/=-]{8,})", 0),
        ((b"akia", b"asia"), rb"\b((?:AKIA|ASIA)[0-9A-Z]{16})\b", 0),
        ((b"age-secret-key-",), rb"(AGE-SECRET-KEY-[0-9A-Z-]+)", 0),
        (
            (b"private key-----",),
            rb"(-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----.*?"
            rb"(?:-----END [A-Z ]{0,32}PRIVATE KEY-----|\Z))",
            re.DOTALL,
        ),
    )
)

Span = tuple[int, int]


class Redactor:
    """Replaces secrets by `***`; one that is empty, or only white space, is none."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms = sorted({form for secret in secrets for form in _forms(secret)})
        self.longest = max(map(len, self._forms), default=0)

    def text(self, text: str) -> str:
        """Return `text` without secrets."""
        return self.clean(text.encode(errors="surrogateescape")).decode(errors="surrogateescape")

    def clean(self, data: bytes) -> bytes:
        """Return `data` without secrets."""
        return _masked(data, (span for _, span in self.spans(data)))

    def spans(self, data: bytes) -> Iterator[tuple[Span, Span]]:
        """Yield for each secret in `data` what had to be read to know it, and where it is."""
        yield from self.known(data)
        lowered = data.lower()
        for words, pattern in _PATTERNS:
            if not any(word in lowered for word in words):
                continue
            for match in pattern.finditer(data):
                for number in range(1, pattern.groups + 1):
                    if match.end(number) > match.start(number) >= 0:
                        yield match.span(), match.span(number)

    def known(self, data: bytes) -> Iterator[tuple[Span, Span]]:
        """Yield the known secrets in `data`, in the form of `spans`."""
        for form in self._forms:
            begin = data.find(form)
            while begin >= 0:
                span = begin, begin + len(form)
                yield span, span
                begin = data.find(form, begin + 1)


class RedactingStream:
    """Redacts bytes that come in parts, as if they came at once; holds back what may go on."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = bytearray()
        self._limit = max(LINE_BYTES, 4 * redactor.longest)

    def feed(self, data: bytes) -> bytes:
        """Return what is certain by now, redacted."""
        self._held += data
        if b"\n" not in data and len(self._held) < self._limit:
            return b""
        return self._take(self._cut())

    def end(self) -> bytes:
        """Return the rest, redacted."""
        return self._take(len(self._held))

    def _cut(self) -> int:
        """Return up to where nothing that is still to come can change anything."""
        held = bytes(self._held)
        safe = len(held) - max(0, self._redactor.longest - 1)
        is_long = len(held) >= self._limit
        line_end = held.rfind(b"\n", 0, max(0, safe)) + 1
        wanted = line_end or (min(safe, len(held) - _OVERLAP_BYTES) if is_long else 0)
        cut = _before(wanted, (_open(reach, held) for reach, _ in self._redactor.spans(held)))
        if cut == 0 and is_long:
            cut = _before(safe, (reach for reach, _ in self._redactor.known(held)))
        return cut

    def _take(self, cut: int) -> bytes:
        if cut <= 0:
            return b""
        # Redacted with what follows, which may be why it is a secret.
        held = bytes(self._held)
        del self._held[:cut]
        spans = [span for _, span in self._redactor.spans(held)]
        return _masked(held[:cut], ((begin, min(end, cut)) for begin, end in spans if begin < cut))


def _forms(secret: str) -> Iterator[bytes]:
    """Yield a secret as programs print it: with and without its line end, quoted, in JSON."""
    for text in (secret, secret.strip()):
        for form in (text, quote(text, safe=""), quote_plus(text), json.dumps(text)[1:-1]):
            if form.strip():
                yield form.encode(errors="surrogateescape")


def _open(reach: Span, held: bytes) -> Span:
    """Return a reach that goes to the end of what has come as one that goes on."""
    begin, end = reach
    return begin, end + 1 if end == len(held) else end


def _before(cut: int, reaches: Iterable[Span]) -> int:
    """Return the last place up to `cut` that is inside of none of `reaches`."""
    for begin, end in sorted(reaches, reverse=True):
        if begin < cut < end:
            cut = begin
    return cut


def _masked(data: bytes, spans: Iterable[Span]) -> bytes:
    parts: list[bytes] = []
    done = 0
    for begin, end in sorted(spans):
        if end <= done:
            continue
        if begin >= done:
            parts += [data[done:begin], MARK]
        done = end
    parts.append(data[done:])
    return b"".join(parts)
