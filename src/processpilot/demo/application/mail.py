"""The e-mail worker: sends what is in the outbox over SMTP.

    SMTP_URL=smtp://127.0.0.1:2525 python -m processpilot.demo.application.mail [--status]

A row is marked as sent after the server accepted it, in the transaction that held it. Whoever is
killed in between sends up to `BATCH` messages again, each with the Message-ID it had: nobody can
do better over SMTP, and the receiver can tell.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import smtplib
import sys
from collections.abc import Sequence
from typing import Final

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session, aliased

from processpilot.demo.application.database import Database
from processpilot.demo.application.errors import ApplicationError, MailServerAwayError
from processpilot.demo.application.letters import Letter, compose
from processpilot.demo.application.outbox import may_send
from processpilot.demo.application.settings import MailServer, read_mail_server, read_settings
from processpilot.demo.application.tables import OutboxEntry, Request, User
from processpilot.demo.application.worker import go_round, stop_on_signals, tell_status

NAME: Final = "email"
BATCH: Final = 10
PAUSE_S: Final = 0.5
TIMEOUT_S: Final = 5.0
OLDEST_UNSENT_S: Final = 30

_PERMANENT: Final = 500
_OLDEST: Final = text(
    "SELECT extract(epoch FROM clock_timestamp() - min(created_at)) FROM outbox"
    " WHERE sent_at IS NULL AND refusal IS NULL"
    " AND (SELECT enabled FROM features WHERE name = 'email-notifications')"
)


class Refused(Exception):  # noqa: N818 - an outcome of one message, not a failure
    """The server will never take this message; the text says why."""


class Post:
    """The way to the mail server; the connection is kept, and made anew after trouble."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._smtp: smtplib.SMTP | None = None

    def send(self, letter: Letter) -> None:
        """Return once the server accepted; raises Refused or MailServerAwayError."""
        try:
            message = compose(letter)
            if self._smtp is None:
                self._smtp = smtplib.SMTP(self._server.host, self._server.port, timeout=TIMEOUT_S)
            self._smtp.send_message(message)
        except ValueError as error:
            raise Refused(f"no address: {error}") from error
        except smtplib.SMTPRecipientsRefused as error:
            self._give_up(*next(iter(error.recipients.values())))
        except smtplib.SMTPResponseException as error:
            self._give_up(error.smtp_code, error.smtp_error)
        except (smtplib.SMTPException, OSError) as error:
            self.close()
            raise MailServerAwayError(f"the mail server is away: {error}") from error

    def _give_up(self, code: int, said: bytes | str) -> None:
        words = said.decode(errors="replace") if isinstance(said, bytes) else said
        self.close()
        if code >= _PERMANENT:
            raise Refused(f"{code} {words}")
        raise MailServerAwayError(f"the mail server says {code} {words}")

    def close(self) -> None:
        """Drop the connection."""
        if self._smtp is not None:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                self._smtp.close()
            self._smtp = None


def send_some(database: Database, post: Post) -> bool:
    """Send the oldest mail nobody else is sending; tell whether there may be more.

    What was accepted before trouble is marked before MailServerAwayError is raised.
    """
    trouble: MailServerAwayError | None = None
    with database.transaction() as session:
        entries = _claim(session) if may_send(session) else []
        for number, letter in entries:
            try:
                post.send(letter)
                _mark(session, number, sent_at=func.clock_timestamp())
            except Refused as refusal:
                _mark(session, number, refusal=str(refusal))
            except MailServerAwayError as error:
                trouble = error
                break
    if trouble is not None:
        raise trouble
    return len(entries) == BATCH


def _claim(session: Session) -> list[tuple[int, Letter]]:
    """Return unsent rows and hold them until the transaction ends; what others hold is skipped."""
    requester = aliased(User)
    rows = session.execute(
        select(
            OutboxEntry.id,
            OutboxEntry.key,
            User.name,
            OutboxEntry.event,
            OutboxEntry.request_id,
            Request.title,
            requester.name,
            OutboxEntry.created_at,
        )
        .join(User, User.id == OutboxEntry.recipient_id)
        .join(Request, Request.id == OutboxEntry.request_id)
        .join(requester, requester.id == Request.requester_id)
        .where(OutboxEntry.sent_at.is_(None), OutboxEntry.refusal.is_(None))
        .order_by(OutboxEntry.id)
        .limit(BATCH)
        .with_for_update(of=OutboxEntry, skip_locked=True)
    )
    return [(row[0], Letter(*row[1:])) for row in rows]


def _mark(session: Session, number: int, **values: object) -> None:
    session.execute(update(OutboxEntry).where(OutboxEntry.id == number).values(**values))


def backlog(database: Database) -> str | None:
    """Return what is wrong with the outbox, or None; mail held back on purpose is not."""
    with database.transaction() as session:
        age_s = session.scalar(_OLDEST)
    if age_s is None or age_s <= OLDEST_UNSENT_S:
        return None
    return f"the oldest mail waits for {age_s:.0f} s, allowed {OLDEST_UNSENT_S}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Send until SIGTERM, or tell the status; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m processpilot.demo.application.mail")
    parser.add_argument("--status", action="store_true", help="0 if mail is sent in time, else 1")
    options = parser.parse_args(arguments)
    try:
        database = Database(read_settings(os.environ).database_url)
        if options.status:
            return tell_status(NAME, database, lambda: backlog(database))
        post = Post(read_mail_server(os.environ))
    except ApplicationError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    go_round(NAME, database, lambda: send_some(database, post), PAUSE_S, stop_on_signals())
    post.close()
    database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
