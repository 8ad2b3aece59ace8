"""What counts as a secret in a program's words, and what is left alone."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from processpilot.steps.redact import LINE_BYTES, RedactingStream, Redactor

KEY_BLOCK = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\nAAAA\n-----END OPENSSH PRIVATE KEY-----"
)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("postgresql://app:hunter2@db:5432/shop", "postgresql://app:***@db:5432/shop"),
        ("https://u:p@ss@host/x", "https://u:***@host/x"),
        ("password=hunter2 user=a", "password=*** user=a"),
        ("PGPASSWORD='hun ter2' psql", "PGPASSWORD='***' psql"),
        ('{"db_password": "hun\\"ter2", "port": 1}', '{"db_password": "***", "port": 1}'),
        ('{\\"token\\": \\"hunter2\\"}', '{\\"token\\": \\"***\\"}'),
        ("api_key: hunter2", "api_key: ***"),
        ("X-Api-Key: hunter2", "X-Api-Key: ***"),
        ("AWS_SECRET_ACCESS_KEY=hunter2/abc", "AWS_SECRET_ACCESS_KEY=***"),
        ("tool --auth-token hunter2 --fast", "tool --auth-token *** --fast"),
        ("Authorization: Bearer abc.def-123", "Authorization: ***"),
        ('"authorization": "Basic aHVudGVyMg=="', '"authorization": "***"'),
        ("sent bearer abcdefgh12345", "sent bearer ***"),
        ("using AKIAIOSFODNN7EXAMPLE now", "using *** now"),
        ("AGE-SECRET-KEY-1QQPZRY9X8GF", "***"),
        (f"a\n{KEY_BLOCK}\nb", "a\n***\nb"),
        ('passphrase="never closed', 'passphrase="***'),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str, left: str) -> None:
    """Only the value goes; its name stays, so that people see what was there."""
    assert Redactor().text(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:5000/health answered 200",
        "12 tokens read in 3 s",
        "the key is in the safe",
        "bearer of news",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "",
    ],
)
def test_plain_words_stay(text: str) -> None:
    """What holds no secret is not touched."""
    assert Redactor().text(text) == text


def test_a_known_secret_goes_wherever_it_stands() -> None:
    """In the middle of words, more than once, and overlapping itself."""
    assert Redactor(["abab"]).text("xababab-abab") == "x***-***"


@pytest.mark.parametrize("secret", ['p"q\\r', "s p@ce/ü", "ends with a line\n"])
def test_a_known_secret_goes_in_the_forms_that_programs_print(secret: str) -> None:
    """In an address, and inside of JSON."""
    redactor = Redactor([secret])
    for form in (secret.strip(), quote(secret.strip(), safe=""), json.dumps(secret.strip())[1:-1]):
        assert redactor.text(f"<{form}>") == "<***>"


def test_an_empty_secret_is_none() -> None:
    """A secret file that is empty does not turn every letter into asterisks."""
    assert Redactor(["", "\n"]).text("a b") == "a b"


def test_bytes_that_are_no_text_survive() -> None:
    """Output in another encoding comes out as it went in."""
    raw = b"\xff\xfe password=x \xff".decode(errors="surrogateescape")
    assert Redactor().text(raw).encode(errors="surrogateescape") == b"\xff\xfe password=*** \xff"


def test_a_line_is_told_when_it_is_complete() -> None:
    """So that people can follow a program's words while it runs."""
    stream = RedactingStream(Redactor())
    assert stream.feed(b"one\ntwo pass") == b"one\n"
    assert stream.feed(b"word=x\nthree") == b"two password=***\n"
    assert stream.end() == b"three"


def test_a_key_block_that_comes_line_by_line_is_held_until_its_end() -> None:
    """No line of it is let through on the way."""
    stream = RedactingStream(Redactor())
    told = b"".join(stream.feed(f"{line}\n".encode()) for line in KEY_BLOCK.splitlines())
    assert told + stream.end() == b"***\n"


def test_a_key_block_without_an_end_goes_to_the_last_byte() -> None:
    """A program that died while it printed a key has still printed a key."""
    stream = RedactingStream(Redactor())
    begun = b"a\n-----BEGIN PRIVATE KEY-----\nMIIB\n"
    assert stream.feed(begun) + stream.end() == b"a\n***"


def test_an_endless_line_is_not_kept_in_memory() -> None:
    """It is let through in parts, and a known secret across any cut is found all the same."""
    stream = RedactingStream(Redactor(["hunter2"]))
    told = b""
    filler = b"x" * 65533
    for _ in range(3 * LINE_BYTES // len(filler)):
        told += stream.feed(filler + b"hun") + stream.feed(b"ter2")
    assert len(told) > LINE_BYTES
    told += stream.end()
    assert b"hunter2" not in told
    assert told.replace(b"***", b"") == b"x" * len(told.replace(b"***", b""))
