"""The mail itself: an outbox row as a message, pure. The Message-ID is the row's for ever."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final
from uuid import UUID

from processpilot.demo.application.outbox import ASKED

DOMAIN: Final = "localhost"
SENDER: Final = Address("Workflow", "workflow", DOMAIN)


@dataclass(frozen=True, slots=True)
class Letter:
    """What one outbox row tells whom."""

    key: UUID
    recipient: str
    event: str
    request_id: int
    title: str
    requester: str
    written_at: datetime


def message_id(key: UUID) -> str:
    """Return the Message-ID: the same each time, so that a receiver recognises a repetition."""
    return f"<{key}@workflow.{DOMAIN}>"


def compose(letter: Letter) -> EmailMessage:
    """Return the message; ValueError when the recipient's name makes no address."""
    message = EmailMessage(policy=SMTP)
    message["Message-ID"] = message_id(letter.key)
    message["Date"] = letter.written_at
    message["From"] = SENDER
    message["To"] = Address(letter.recipient, letter.recipient, DOMAIN)
    message["Auto-Submitted"] = "auto-generated"
    title = " ".join(letter.title.split())
    if letter.event == ASKED:
        message["Subject"] = f"Request {letter.request_id} waits for you: {title}"
        message.set_content(f"{letter.requester} asks: {title}\n\nPlease approve or reject it.\n")
    else:
        message["Subject"] = f"Request {letter.request_id} was {letter.event}: {title}"
        message.set_content(f"Your request “{title}” was {letter.event}.\n")
    return message
