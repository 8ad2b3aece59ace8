"""docs/from-the-runbook.md as data: its tables, its examples, and how outputs are compared.

`python tests/familiar_page.py` runs every example on a real site and writes the outputs anew.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from familiar_site import FamiliarSite, familiar_site
from protected_site import wait_until

from processpilot.clock import SystemClock
from processpilot.demo import stage

PAGE = Path(__file__).parents[1] / "docs" / "from-the-runbook.md"
LEFT_OUT = "…"
_BLOCK = re.compile(
    r"(?:<!-- before: (?P<before>.*?) -->\n\n)?```console\n(?P<body>.*?)```", re.DOTALL
)
_STATUS = re.compile(r"\(status (\d+)\)")
_LONGEST = 14
_KEPT = (8, 5)

# What differs from run to run, and what stands for it where examples are compared.
_VARIES = (
    (re.compile(r"\b\d{8}T\d{6}Z-[0-9a-f]{8}\b"), "BACKUP"),
    (re.compile(r"\b\d{8}-\d{6}-[0-9a-f]{4}\b"), "RUN"),
    (re.compile(r"\b\d{8}T\d{6}Z\b"), "MOMENT"),
    (
        re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|\+\d\d:\d\d)?)?"),
        "AT",
    ),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "AT"),
    (re.compile(r"\b[0-9A-F]+/[0-9A-F]{1,8}\b"), "LSN"),
    (re.compile(r"\d+(?:\.\d+)?"), "N"),
    (re.compile(r"N (?:B|kB|MB|GB|ms|s|min|h)\b"), "MUCH"),
    (re.compile(r"MUCH(?: MUCH)+"), "MUCH"),
    (re.compile(r"unknown bytes"), "N bytes"),
    (re.compile(r"data lost not measured"), "data lost MUCH"),
    (re.compile(r"(oldest transaction): .*"), r"\1"),
    (re.compile(r" +"), " "),
)


@dataclass(frozen=True)
class Example:
    """One example: what is staged before it, its line, its output and its status."""

    before: str | None
    line: str
    output: tuple[str, ...]
    status: int


def examples(text: str) -> Iterator[Example]:
    """Yield the page's examples in their order."""
    for block in _BLOCK.finditer(text):
        first, *rest = block["body"].splitlines()
        status = 0
        if rest and (ended := _STATUS.fullmatch(rest[-1])):
            status = int(ended[1])
            rest.pop()
        yield Example(block["before"], first.removeprefix("$ "), tuple(rest), status)


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of every row of the page's tables."""
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| In the runbook"):
            yield [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def code_in(cell: str) -> str | None:
    """Return the command in a cell that is nothing but code, or None."""
    found = re.fullmatch(r"`(.+)`", cell)
    return None if found is None else found[1]


def stable(line: str) -> str:
    """Return a line with what differs from run to run replaced."""
    for pattern, name in _VARIES:
        line = pattern.sub(name, line)
    return line.strip()


def first_difference(expected: Sequence[str], found: Sequence[str]) -> str | None:
    """Return the first expected line that is not found in its place, or None.

    What was left out stands for any number of lines.
    """
    lines = [stable(line) for line in found]
    chunks = _between(expected)
    if len(chunks) == 1:
        return _mismatch(chunks[0], lines, whole=True)
    first, *middle, last = chunks
    difference = _mismatch(first, lines, whole=False)
    position = len(first)
    for chunk in middle:
        wanted = [stable(line) for line in chunk]
        places = range(position, len(lines))
        place = next((n for n in places if lines[n : n + len(wanted)] == wanted), None)
        if place is None:
            return difference or chunk[0]
        position = place + len(wanted)
    rest = lines[position:]
    return difference or _mismatch(last, rest[len(rest) - len(last) :], whole=False)


def _between(expected: Sequence[str]) -> list[list[str]]:
    """Return the lines before, between and after what was left out."""
    chunks: list[list[str]] = [[]]
    for line in expected:
        if line == LEFT_OUT:
            chunks.append([])
        else:
            chunks[-1].append(line)
    return chunks


def _mismatch(expected: Sequence[str], lines: Sequence[str], *, whole: bool) -> str | None:
    """Return the first line that `lines` do not begin with, or the first one too many."""
    for number, line in enumerate(expected):
        if lines[number : number + 1] != [stable(line)]:
            return line
    return lines[len(expected)] if whole and len(lines) > len(expected) else None


def run_example(example: Example, site: FamiliarSite) -> tuple[int, list[str]]:
    """Run an example; return its status and its output with the page's folder names."""
    folder = site.places.folder if "names install" in example.line else site.backend
    with _STAGED[example.before](site):
        done = site.line(f"exec 2>&1; {example.line}", folder)
    text = done.stdout
    for real, shown in (
        (str(site.backend), "/srv/backend"),
        (str(site.places.site), "/srv/plan"),
        (str(site.places.folder), "/srv"),
        (str(site.places.database_port), "5432"),
    ):
        text = text.replace(real, shown)
    text = re.sub(r"\S*/bin/(python\S*|pg_ctl)", r"\1", text)
    text = re.sub(r"(programs: PostgreSQL \S+ in ).*", r"\1/usr/lib/postgresql/18/bin", text)
    text = re.sub(r"(, by|start it as) \w+", r"\1 root", text)
    return done.returncode, [line.rstrip() for line in text.splitlines() if line.strip()]


@contextmanager
def _nothing(_site: FamiliarSite) -> Iterator[None]:
    yield


@contextmanager
def _destroyed(site: FamiliarSite) -> Iterator[None]:
    """Stop the agent, kill PostgreSQL and delete its data directory; the agent runs afterwards."""
    agent = site.supervisor.driver("processpilot")
    agent.stop()
    os.kill(stage.postmaster_pid(site.places), signal.SIGKILL)
    while site.places.data_dir.exists():
        shutil.rmtree(site.places.data_dir, ignore_errors=True)
    yield
    stage.start_agent(site.places, site.supervisor, SystemClock())
    wait_until(lambda: site.line("processpilot status").returncode == 0, "a healthy site")


_STAGED: Mapping[str | None, Callable[..., object]] = {
    None: _nothing,
    "the database is destroyed": _destroyed,
}


def rewritten(text: str, site: FamiliarSite) -> str:
    """Return the page with the outputs of today."""

    def renewed(block: re.Match[str]) -> str:
        example = next(examples(block[0]))
        status, output = run_example(example, site)
        head = f"<!-- before: {example.before} -->\n\n" if example.before else ""
        lines = [f"$ {example.line}", *_shortened(output)]
        lines += [] if status == 0 else [f"(status {status})"]
        return f"{head}```console\n" + "\n".join(lines) + "\n```"

    return _BLOCK.sub(renewed, text)


def _shortened(output: list[str]) -> list[str]:
    """Return the output without npm's banner, and without the middle of what is long."""
    banner = next((n for n, line in enumerate(output) if line.startswith("> exec ")), None)
    head = [] if banner is None else [LEFT_OUT]
    lines = output[0 if banner is None else banner + 1 :]
    if len(lines) > _LONGEST:
        lines = [*lines[: _KEPT[0]], LEFT_OUT, *lines[-_KEPT[1] :]]
    return head + lines


if __name__ == "__main__":
    with familiar_site() as running:
        PAGE.write_text(rewritten(PAGE.read_text(), running))
