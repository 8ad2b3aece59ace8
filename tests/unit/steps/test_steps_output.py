"""What is kept of a program's words: all of few, beginning and end of many."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from processpilot.steps.output import KEPT_BYTES, KeptOutput, tail_of
from processpilot.steps.redact import Redactor

LINE = b"0123456789abcde\n"


def keep(path: Path, *parts: bytes, kept_bytes: int = KEPT_BYTES) -> KeptOutput:
    """Return the closed output of a program that said these parts."""
    output = KeptOutput(path, Redactor(["hunter2"]), kept_bytes)
    for part in parts:
        output.add(part)
    output.close()
    return output


def test_few_words_are_kept_whole(tmp_path: Path) -> None:
    """The digest is then the file's own, and only its owner can read the file."""
    path = tmp_path / "log"
    output = keep(path, b"one\ntwo", b" three")
    assert path.read_bytes() == b"one\ntwo three"
    assert output.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not output.is_cut
    assert path.stat().st_mode & 0o777 == 0o600


def test_of_many_words_beginning_and_end_are_kept(tmp_path: Path) -> None:
    """What is left out is named by its size; the digest is that of everything."""
    path = tmp_path / "log"
    said = [LINE] * 100
    output = keep(path, *said, kept_bytes=128)
    left_out = 100 * len(LINE) - 128
    note = f"\n[processpilot: {left_out} bytes are left out here]\n".encode()
    assert path.read_bytes() == LINE * 4 + note + LINE * 4
    assert output.is_cut
    assert output.sha256 == hashlib.sha256(LINE * 100).hexdigest()


@pytest.mark.parametrize("count", range(120, 140))
def test_nothing_is_left_out_twice_or_kept_twice(tmp_path: Path, count: int) -> None:
    """Around the limit, byte for byte."""
    path = tmp_path / "log"
    said = bytes(range(256))[:count].replace(b"\n", b"n")
    output = keep(path, said[:50], said[50:], kept_bytes=128)
    kept = path.read_bytes()
    if count <= 128:
        assert kept == said
    else:
        note = f"\n[processpilot: {count - 128} bytes are left out here]\n".encode()
        assert kept == said[:64] + note + said[-64:]
    assert output.is_cut == (count > 128)


def test_the_beginning_can_be_read_while_the_program_runs(tmp_path: Path) -> None:
    """People follow what a long step says."""
    path = tmp_path / "log"
    output = KeptOutput(path, Redactor(["hunter2"]))
    output.add(b"begun with hunter2\nand so")
    assert path.read_bytes() == b"begun with ***\n"
    output.close()


def test_an_output_is_never_written_over(tmp_path: Path) -> None:
    """What an earlier attempt said is evidence."""
    keep(tmp_path / "log", b"first")
    with pytest.raises(FileExistsError):
        keep(tmp_path / "log", b"second")


def test_the_tail_is_the_end(tmp_path: Path) -> None:
    """As text, whatever the bytes are."""
    keep(tmp_path / "log", b"\xff" + b"x" * 10000 + b"the end\n")
    tail = tail_of(tmp_path / "log", 20)
    assert tail.endswith("xxthe end") and len(tail) == 19
