"""Steady work for the application: requests and approvals, and a ledger of what was promised.

    python -m processpilot.demo.application.load --url http://127.0.0.1:5000 --ledger keys
        --user employee --password-file FILE [--approver manager] [--rate 50]

The ledger is the measure of data loss: every key in it was acknowledged, so every key must be in
the table. Outages are lived through; SIGTERM ends the run.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Final
from uuid import UUID, uuid4

import httpx

from processpilot.demo.application.errors import ApplicationError
from processpilot.demo.application.ledger import Ledger, LoadStatus, write_status
from processpilot.demo.application.settings import read_secret_file

TIMEOUT_S: Final = 2.0
BACK_OFF_S: Final = 0.2
STATUS_PERIOD_S: Final = 1.0
APPROVE_EVERY: Final = 5
AWAY: Final = (502, 503, 504)


class Client:
    """One user's way to the application; logs in when it must, raises httpx.HTTPError."""

    def __init__(self, http: httpx.Client, user: str, password: str) -> None:
        self._http = http
        self._credentials = {"user": user, "password": password}
        self._token: str | None = None

    def post_request(self, key: UUID) -> int:
        """Return the number of the request stored under `key`; repeating it is harmless."""
        answer = self._post(
            "/api/requests",
            {
                "key": str(key),
                "type": "leave",
                "title": "A day off",
                "notes": "Made by the load generator.",
            },
        )
        return int(answer.json()["id"])

    def approve(self, request_id: int) -> None:
        """Approve the request's step whose turn it is."""
        self._post(f"/api/requests/{request_id}/approve", {})

    def _post(self, path: str, body: dict[str, str]) -> httpx.Response:
        if self._token is None:
            login = self._http.post("/api/auth/login", json=self._credentials)
            self._token = str(login.raise_for_status().json()["token"])
        bearer = {"Authorization": f"Bearer {self._token}"}
        answer = self._http.post(path, json=body, headers=bearer)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self._token = None  # A database restored to before the login no longer knows it.
        return answer.raise_for_status()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run takes from outside: clocks, fresh keys, and the sign to end."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    new_key: Callable[[], UUID]
    stop: Event


class Load:
    """A run at a steady rate; `status` may be read from another thread."""

    def __init__(
        self,
        requester: Client,
        approver: Client | None,
        ledger: Ledger,
        surroundings: Surroundings,
    ) -> None:
        self._requester = requester
        self._approver = approver
        self._ledger = ledger
        self._around = surroundings
        self.status = LoadStatus(since=surroundings.now())

    def run(self, rate_per_s: float) -> None:
        """Post requests until told to stop; time lost in an outage is not caught up."""
        period = 1 / rate_per_s
        key = self._around.new_key()
        due = self._around.monotonic()
        while not self._around.stop.is_set():
            if self._attempt(key):
                key = self._around.new_key()
                due = max(due + period, self._around.monotonic() - period)
            else:
                due = self._around.monotonic() + BACK_OFF_S
            self._around.stop.wait(max(0.0, due - self._around.monotonic()))

    def _attempt(self, key: UUID) -> bool:
        """Send one request and tell whether it was acknowledged; a failed key is sent again."""
        self.status = replace(self.status, sent=self.status.sent + 1)
        try:
            request_id = self._requester.post_request(key)
        except (httpx.HTTPError, ValueError, KeyError) as error:
            self._note_failure(error)
            return False
        self._ledger.record(key)
        acknowledged = self.status.acknowledged + 1
        self.status = replace(self.status, acknowledged=acknowledged, failing_since=None)
        if self._approver is not None and acknowledged % APPROVE_EVERY == 0:
            self._approve(self._approver, request_id)
        return True

    def _note_failure(self, error: Exception) -> None:
        answer = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else None
        self.status = replace(
            self.status,
            failed=self.status.failed + 1,
            turned_away=self.status.turned_away + (answer in AWAY),
            failing_since=self.status.failing_since or self._around.now(),
        )

    def _approve(self, approver: Client, request_id: int) -> None:
        try:
            approver.approve(request_id)
        except (httpx.HTTPError, ValueError, KeyError):
            return  # The next request shows whether this was the beginning of an outage.
        self.status = replace(self.status, approved=self.status.approved + 1)


def keep_status_written(load: Load, path: Path, stop: Event) -> None:
    """Write the status now, every second, and once more when told to stop."""
    write_status(path, load.status)
    while not stop.wait(STATUS_PERIOD_S):
        write_status(path, load.status)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        password = read_secret_file(options.password_file)
    except ApplicationError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    around = Surroundings(lambda: datetime.now(UTC), time.monotonic, uuid4, stop)
    status_path = options.status or options.ledger.with_name(f"{options.ledger.name}.status.json")
    with (
        httpx.Client(base_url=options.url, timeout=TIMEOUT_S, trust_env=False) as http,
        Ledger(options.ledger) as ledger,
    ):
        approver = Client(http, options.approver, password) if options.approver else None
        load = Load(Client(http, options.user, password), approver, ledger, around)
        writer = Thread(target=keep_status_written, args=(load, status_path, stop))
        writer.start()
        try:
            load.run(options.rate)
        finally:
            stop.set()
            writer.join()
            write_status(status_path, load.status)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m processpilot.demo.application.load")
    parser.add_argument("--url", required=True, help="the application's address")
    parser.add_argument("--ledger", type=Path, required=True, help="file of acknowledged keys")
    parser.add_argument("--status", type=Path, help="status file; otherwise LEDGER.status.json")
    parser.add_argument("--rate", type=_rate, default=50.0, help="requests per second")
    parser.add_argument("--user", required=True, help="who asks")
    parser.add_argument("--approver", help="who approves every fifth request")
    parser.add_argument("--password-file", type=Path, required=True, help="the password of both")
    return parser


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 < rate <= 10_000:
        raise argparse.ArgumentTypeError(f"the rate is {text}, not above 0 and at most 10000")
    return rate


if __name__ == "__main__":
    sys.exit(main())
