"""Timing of programs: seconds, and the most memory that a process and its children held."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_SAMPLE_S = 0.05


@dataclass(frozen=True, slots=True)
class Taken:
    """What one program took."""

    seconds: float
    peak_bytes: int


def run_program(argv: Sequence[str], env: Mapping[str, str] | None = None) -> int:
    """Run a program to its end and return the most memory it held, in bytes; fails when it does."""
    process = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, _held_bytes(process.pid))
        time.sleep(_SAMPLE_S)
    if process.returncode != 0:
        raise RuntimeError(f"{argv[0]} ended with status {process.returncode}")
    return peak


def _held_bytes(root: int) -> int:
    """Return the memory of a process and all below it; what they share counts once."""
    total = 0
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            waiting += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        except (OSError, ValueError):
            continue
        for line in rollup.splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


@dataclass
class Sheet:
    """Everything measured so far: by row, by contender."""

    tidy: Callable[[], None]
    rows: dict[str, dict[str, list[Taken]]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def time(self, row: str, who: str, work: Callable[[], int]) -> None:
        """Time `work`, which returns its peak memory; targets are gone, caches written out."""
        self.tidy()
        subprocess.run(["sync"], check=True)
        begun = time.monotonic()
        peak = work()
        taken = Taken(time.monotonic() - begun, peak)
        self.rows.setdefault(row, {}).setdefault(who, []).append(taken)
        sys.stderr.write(f"{row:<40} {who:<14} {taken.seconds:8.2f} s {peak / 1e6:7.0f} MB\n")

    def note_seconds(self, row: str, who: str, seconds: float) -> None:
        """Write down what was timed elsewhere."""
        self.rows.setdefault(row, {}).setdefault(who, []).append(Taken(seconds, 0))
        self.say(f"{row:<40} {who:<14} {seconds:8.3f} s")

    def say(self, text: str) -> None:
        """Tell whoever watches."""
        sys.stderr.write(f"{text}\n")

    def round(self, row: str, number: int, work: Mapping[str, Callable[[], int]]) -> None:
        """Time every contender once, in an order that turns with the round."""
        names = list(work)
        begin = number % len(names)
        for name in names[begin:] + names[:begin]:
            self.time(row, name, work[name])

    def note(self, row: str, text: str) -> None:
        """Add a remark to a row."""
        self.notes.setdefault(row, []).append(text)

    def seconds(self, row: str, who: str) -> float:
        """Return the median."""
        return statistics.median(taken.seconds for taken in self.rows[row][who])

    def peak_bytes(self, row: str, who: str) -> int:
        """Return the highest peak."""
        return max(taken.peak_bytes for taken in self.rows[row][who])

    def table(self) -> str:
        """Return everything as Markdown; ratios are the first contender's to each other one's."""
        lines = ["| What | Medians | Ratios | Peak memory | |", "|---|---|---|---|---|"]
        for row, taken in self.rows.items():
            first, *others = list(taken)
            medians = ", ".join(f"{who} {_shown(self.seconds(row, who))}" for who in taken)
            ratios = ", ".join(f"{self._ratio(row, first, who):.2f} of {who}" for who in others)
            memory = f"{self.peak_bytes(row, first) / 1e6:.0f} MB"
            notes = "; ".join(dict.fromkeys(self.notes.get(row, [])))
            lines.append(f"| {row} | {medians} | {ratios} | {memory} | {notes} |")
        return "\n".join(lines)

    def _ratio(self, row: str, ours: str, theirs: str) -> float:
        """Return the median of the ratios of each round's pair."""
        pairs = zip(self.rows[row][ours], self.rows[row][theirs], strict=True)
        return statistics.median(mine.seconds / other.seconds for mine, other in pairs)


def _shown(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 0.1 else f"{seconds * 1000:.2f} ms"
