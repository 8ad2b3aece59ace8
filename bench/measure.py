"""Timing of programs: seconds, and the most memory that the process and its children held."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Taken:
    """What one program took."""

    seconds: float
    peak_bytes: int


def run_program(argv: Sequence[str], env: Mapping[str, str] | None = None) -> int:
    """Run a program to its end and return the most memory it held, in bytes; fails when it does."""
    process = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{argv[0]} ended with status {process.returncode}")
    return usage.ru_maxrss * 1024


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
            medians = ", ".join(f"{who} {self.seconds(row, who):.1f} s" for who in taken)
            ratios = ", ".join(f"{self._ratio(row, first, who):.2f} of {who}" for who in others)
            memory = f"{self.peak_bytes(row, first) / 1e6:.0f} MB"
            notes = "; ".join(dict.fromkeys(self.notes.get(row, [])))
            lines.append(f"| {row} | {medians} | {ratios} | {memory} | {notes} |")
        return "\n".join(lines)

    def _ratio(self, row: str, ours: str, theirs: str) -> float:
        """Return the median of the ratios of each round's pair."""
        pairs = zip(self.rows[row][ours], self.rows[row][theirs], strict=True)
        return statistics.median(mine.seconds / other.seconds for mine, other in pairs)
