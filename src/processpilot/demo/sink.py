"""A mail server for the demo and the tests: accepts everything on loopback, delivers nothing.

    python -m processpilot.demo.sink --port 2525 --file messages.jsonl

Each accepted message is one line of JSON in the file, handed to the operating system before the
sender hears that it was accepted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from email.policy import default
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

_ACCEPTED = "250 accepted"


@dataclass(frozen=True, slots=True)
class Received:
    """What is told apart: how many messages, and how many of them came once more."""

    messages: int
    repeated: int


class _Writer:
    """Writes what arrives; aiosmtpd calls it by the name of the SMTP command."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="ascii")

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Write a message down and accept it."""
        content = envelope.content
        raw = content if isinstance(content, bytes) else str(content or "").encode()
        headers = BytesHeaderParser(policy=default).parsebytes(raw)
        line = {
            "message_id": str(headers["Message-ID"]),
            "to": envelope.rcpt_tos,
            "subject": str(headers["Subject"]),
            "at": datetime.now(UTC).isoformat(),
        }
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        return _ACCEPTED


def read_messages(path: Path) -> list[dict[str, object]]:
    """Return what the sink wrote down, oldest first."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def count_received(path: Path) -> Received:
    """Return how many messages came; the same Message-ID again is a repetition."""
    ids = Counter(str(message["message_id"]) for message in read_messages(path))
    return Received(len(ids), ids.total() - len(ids))


async def _serve(port: int, path: Path) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    writer = _Writer(path)
    server = await loop.create_server(
        lambda: SMTP(writer, hostname="localhost", loop=loop), "127.0.0.1", port
    )
    await stop.wait()
    server.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Accept mail until SIGTERM; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m processpilot.demo.sink")
    parser.add_argument("--port", type=int, required=True, help="port on loopback")
    parser.add_argument("--file", type=Path, required=True, help="where messages are written down")
    options = parser.parse_args(arguments)
    asyncio.run(_serve(options.port, options.file))
    return 0


if __name__ == "__main__":
    sys.exit(main())
