"""Sending a message to people as a step.

What does not arrive is written down and fails nothing. After a crash the message is sent again:
twice is better than never.
"""

from __future__ import annotations

from processpilot.journal.event import JsonValue
from processpilot.messages.send import Delivery, Message, send_to_all
from processpilot.plan.act import MessageAct, act_from_json
from processpilot.runbook.action import NotHappened, ProbeAnswer, Result, StepContext
from processpilot.steps.ground import StepGround


class SendMessage:
    """Sends over the channels that the step names, or over all."""

    def __init__(self, ground: StepGround) -> None:
        self._ground = ground

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Sending it once more does no harm, though some may get it twice."""
        return NotHappened()

    def execute(self, context: StepContext) -> Result:
        """Return how many channels took the message, and which did not."""
        act = act_from_json(context.spec.settings)
        assert isinstance(act, MessageAct)
        loaded = self._ground.loaded
        channels = [c for c in loaded.plan.channels if not act.channels or c.id in act.channels]
        subject = act.subject or f"{loaded.plan.name}: {context.spec.title}"
        message = Message(subject, act.text)
        deliveries = send_to_all(channels, message, loaded.base, self._ground.clock)
        undelivered: list[JsonValue] = [d.channel for d in deliveries if not d.delivered]
        return {
            "subject": subject,
            "delivered": len(deliveries) - len(undelivered),
            "undelivered": undelivered,
            "deliveries": [_json(delivery) for delivery in deliveries],
        }


def _json(delivery: Delivery) -> JsonValue:
    return {
        "channel": delivery.channel,
        "sent_at": delivery.sent_at.isoformat(),
        "delivered": delivery.delivered,
        "detail": delivery.detail,
    }
