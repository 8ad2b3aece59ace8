"""A head is written down and read back by people."""

from __future__ import annotations

import pytest

from processpilot.errors import UsageError
from processpilot.journal.head import Head


def test_text_and_head_invert() -> None:
    """What is printed is understood again, with the blanks that copying adds."""
    head = Head(1234, "ab" * 32)
    assert Head.parse(str(head)) == head
    assert Head.parse(f"  {head}\n") == head
    assert Head.parse(str(Head())) == Head()


@pytest.mark.parametrize(
    "text", ["", "7", "7:", f"-1:{'0' * 64}", f"07:{'0' * 64}", "7:abc", "x:y"]
)
def test_anything_else_is_refused(text: str) -> None:
    """A head cut short by copying is not taken for a shorter one."""
    with pytest.raises(UsageError, match="is not POSITION:HASH") as caught:
        Head.parse(text)
    assert caught.value.hint
