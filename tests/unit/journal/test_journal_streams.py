"""What is asked about many streams is what reading each of them would say."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from processpilot.clock import SystemClock
from processpilot.journal.journal import Journal

STREAMS = ("run/1", "run/2", "run/10", "run", "run/ü", "runs/1", "incident/1", "Run/1", "run0")
KINDS = ("begun", "noted", "ended")
HISTORIES = st.lists(st.tuples(st.sampled_from(STREAMS), st.sampled_from(KINDS)), max_size=25)


@contextmanager
def journal_of(history: list[tuple[str, str]]) -> Iterator[Journal]:
    """Give a journal with those events."""
    with tempfile.TemporaryDirectory() as folder:
        with closing(Journal.open(Path(folder) / "journal.sqlite", SystemClock())) as journal:
            for number, (stream, kind) in enumerate(history):
                journal.append(stream, kind, {"number": number})
            yield journal


def newest_first(history: list[tuple[str, str]], prefix: str) -> list[str]:
    """Return the streams as a plain walk backwards meets them."""
    met = [stream for stream, _ in reversed(history) if stream.startswith(prefix)]
    return list(dict.fromkeys(met))


@settings(max_examples=60, deadline=None)
@given(history=HISTORIES, prefix=st.sampled_from(("", "run/", "run", "incident/", "none/")))
def test_pages_of_streams_are_the_whole_list(history: list[tuple[str, str]], prefix: str) -> None:
    """Page after page gives every stream once, last written first, as `streams` does."""
    with journal_of(history) as journal:
        wanted = newest_first(history, prefix)
        assert list(journal.streams(prefix)) == wanted
        got: list[str] = []
        before = None
        while page := journal.newest_streams(prefix, 2, before):
            assert len(page) <= 2
            got += page
            before = journal.first_and_last(page)[page[-1]][1].position
        assert got == wanted
        assert journal.newest_streams(prefix, 0) == ()


@settings(max_examples=60, deadline=None)
@given(history=HISTORIES)
def test_open_streams_have_begun_and_not_ended(history: list[tuple[str, str]]) -> None:
    """A stream with both kinds, in whatever order, is not open."""
    with journal_of(history) as journal:
        wanted = [
            stream
            for stream in newest_first(history, "")
            if (stream, "begun") in history and (stream, "ended") not in history
        ]
        assert list(journal.open_streams("begun", "ended")) == wanted


@settings(max_examples=40, deadline=None)
@given(history=HISTORIES)
def test_first_and_last_events_are_those_of_reading(history: list[tuple[str, str]]) -> None:
    """A stream asked for twice is answered once; one without events is left out."""
    with journal_of(history) as journal:
        ends = journal.first_and_last([*STREAMS, *STREAMS, "none"])
        wanted = {stream for stream, _ in history}
        assert set(ends) == wanted
        for stream in wanted:
            events = journal.read(stream)
            assert ends[stream] == (events[0], events[-1])


@settings(max_examples=20, deadline=None)
@given(history=HISTORIES, limit=st.integers(1, 5))
def test_a_follower_sees_every_event_once(history: list[tuple[str, str]], limit: int) -> None:
    """Asking for what came after the last one seen walks through all of them in order."""
    with journal_of(history) as journal:
        seen: list[tuple[str, str]] = []
        while events := journal.since(len(seen), limit):
            assert len(events) <= limit
            seen += [(event.stream, event.kind) for event in events]
        assert seen == history
        assert journal.head().position == len(history)
