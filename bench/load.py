"""What protection costs the database: transactions a second with and without it."""

from __future__ import annotations

import re
import threading

from bench.contest import Contest

_SECONDS = 20
_LIMIT_MB_S = "100"


def slowdown(contest: Contest, rounds: int) -> None:
    """pgbench alone, while a full backup runs, and while one runs at a limited rate."""
    row = "pgbench while a full backup runs"
    rates: dict[str, list[float]] = {"alone": [], "backup": [], f"{_LIMIT_MB_S} MB/s": []}
    for _ in range(rounds):
        rates["alone"].append(_rate(contest))
        rates["backup"].append(_during(contest))
        rates[f"{_LIMIT_MB_S} MB/s"].append(_during(contest, "--rate-limit", _LIMIT_MB_S))
    _note(contest, row, rates, "alone")


def synchronous(contest: Contest, rounds: int) -> None:
    """pgbench with nobody streaming, with an asynchronous stream, and with a synchronous one."""
    row = "pgbench, 8 clients: cost of streaming"
    rates: dict[str, list[float]] = {"none": [], "asynchronous": [], "synchronous": []}
    for _ in range(rounds):
        rates["none"].append(_rate(contest, "8"))
        for mode in ("asynchronous", "synchronous"):
            contest.ours.renew(synchronous=mode == "synchronous")
            with contest.ours.up():
                contest.ours.wait_for_backup()
                rates[mode].append(_rate(contest, "8"))
    contest.cluster.sql("alter system reset synchronous_standby_names")
    contest.cluster.sql("select pg_reload_conf()")
    _note(contest, row, rates, "none")


def _rate(contest: Contest, clients: str = "4") -> float:
    """Return transactions a second."""
    done = contest.cluster.pgbench("-c", clients, "-j", "2", "-T", str(_SECONDS), "-n")
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    assert found is not None
    return float(found[1])


def _during(contest: Contest, *words: str) -> float:
    """Return transactions a second while one full backup after the other is taken."""
    over = threading.Event()

    def back_up() -> None:
        while not over.is_set():
            contest.ours.renew()
            contest.ours.back_up(*words)

    contest.ours.renew()
    thread = threading.Thread(target=back_up)
    thread.start()
    try:
        return _rate(contest)
    finally:
        over.set()
        thread.join()


def _note(contest: Contest, row: str, rates: dict[str, list[float]], base: str) -> None:
    for who, found in rates.items():
        for number, rate in enumerate(found):
            contest.sheet.note_seconds(row, who, 1000 / rate)
            contest.sheet.say(f"{row:<40} {who:<14} {rate:8.0f} tps, round {number + 1}")
    middle = {who: sorted(found)[len(found) // 2] for who, found in rates.items()}
    for who, rate in middle.items():
        share = f" ({rate / middle[base]:.0%} of {base})" if who != base else ""
        contest.sheet.note(row, f"{who} {rate:.0f} tps{share}")
