"""A known secret never survives, however its text is cut into parts."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from processpilot.steps.redact import MARK, RedactingStream, Redactor

# Few letters, so that secrets overlap, repeat and stand beside what the patterns look for. The
# mark's own letter is left out: what it makes together with others would be nobody's secret.
LETTERS = st.text(alphabet='ab\n:/@="é ', max_size=60)
SECRET = st.text(alphabet='ab\n:@="é ', min_size=1, max_size=8).filter(str.strip)
SECRETS = st.lists(SECRET, min_size=1, max_size=3)
WORDS = st.lists(
    st.sampled_from(
        ["password=", "://a:", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "\n"]
    ),
    max_size=4,
)


@st.composite
def texts(draw: st.DrawFn) -> tuple[list[str], str]:
    """Return secrets and a text that holds some of them."""
    secrets = draw(SECRETS)
    parts = draw(st.lists(LETTERS | st.sampled_from(secrets), max_size=8)) + draw(WORDS)
    return secrets, "".join(draw(st.permutations(parts)))


def in_parts(secrets: list[str], data: bytes, cuts: list[int]) -> bytes:
    """Return what a stream makes of `data` that comes in parts."""
    stream = RedactingStream(Redactor(secrets))
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    told = b"".join(stream.feed(data[begin:end]) for begin, end in pairwise(places))
    return told + stream.end()


@given(texts(), st.lists(st.integers(min_value=0), max_size=12))
def test_no_known_secret_survives(case: tuple[list[str], str], cuts: list[int]) -> None:
    """Neither at once nor in parts, and what is left is the same both ways."""
    secrets, text = case
    data = text.encode()
    whole = Redactor(secrets).clean(data)
    for secret in secrets:
        assert secret.encode() not in whole
    told = in_parts(secrets, data, cuts)
    for secret in secrets:
        assert secret.encode() not in told
    assert told.replace(MARK, b"") == whole.replace(MARK, b"")


@given(st.binary(max_size=200), st.lists(st.integers(min_value=0), max_size=8))
def test_bytes_without_secrets_come_out_as_they_went_in(data: bytes, cuts: list[int]) -> None:
    """Nothing is lost or added; what the patterns take is what they take at once."""
    assert in_parts([], data, cuts).replace(MARK, b"") == Redactor().clean(data).replace(MARK, b"")
