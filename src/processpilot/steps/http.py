"""Sending one HTTP request as a step.

Only GET and HEAD are said to be safe to repeat; whether a POST arrived before a crash, nobody here
can tell. For the same reason a POST that broke off once it was sent is no passing failure.
"""

from __future__ import annotations

import time
from pathlib import Path

import httpx

from processpilot.checks.ask import decoded
from processpilot.errors import UnavailableError
from processpilot.journal.event import JsonValue
from processpilot.plan.act import HttpAct, act_from_json
from processpilot.plan.secrets import read_secret
from processpilot.runbook.action import (
    CannotTell,
    NotHappened,
    ProbeAnswer,
    Result,
    StepContext,
    StepFailedError,
)
from processpilot.steps.ground import StepGround
from processpilot.steps.redact import Redactor

SHOWN_BYTES = 2048
_READ_BYTES = 1 << 20
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class SendRequest:
    """Sends a request; it passes when the answer is as expected. Redirects are not followed."""

    def __init__(self, ground: StepGround) -> None:
        self._ground = ground

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Reading again is safe; of everything else only people, or the step's probe, can tell."""
        return CannotTell() if _act(context).method == "POST" else NotHappened()

    def execute(self, context: StepContext) -> Result:
        """Return the status, the duration and the body's beginning, without secrets."""
        act = _act(context)
        body, secrets = _body(act, self._ground.loaded.base)
        redactor = Redactor(secrets)
        begun_s = time.monotonic()
        try:
            status, text = _answer(act, body)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise _unavailable(act, error, redactor) from None
        shown = redactor.text(text).encode()[:SHOWN_BYTES].decode(errors="ignore")
        result: dict[str, JsonValue] = {
            "request": f"{act.method} {redactor.text(act.url)}",
            "status": status,
            "duration_s": round(time.monotonic() - begun_s, 3),
            "body": shown,
        }
        trouble = None
        if status != act.status:
            trouble = f"status {status}, expected {act.status}"
        elif act.contains is not None and act.contains not in text:
            trouble = f'the answer does not contain "{act.contains}"'
        if trouble is not None:
            raise StepFailedError(
                f"{result['request']}: {trouble}",
                result=result,
                hint="Look at the answer, then retry, skip or abort.",
            )
        return result


def _act(context: StepContext) -> HttpAct:
    act = act_from_json(context.spec.settings)
    assert isinstance(act, HttpAct)
    return act


def _body(act: HttpAct, base: Path) -> tuple[dict[str, str] | None, list[str]]:
    """Return the request's body with its secrets in place, and the secrets."""
    if act.json_body is None:
        return None, []
    secrets = {
        key: read_secret(value, base).text
        for key, value in act.json_body.items()
        if value.startswith(("file:", "env:"))
    }
    return {**act.json_body, **secrets}, list(secrets.values())


def _answer(act: HttpAct, body: dict[str, str] | None) -> tuple[int, str]:
    """Return status and the beginning of the body; ReadTimeout when it takes too long."""
    deadline = time.monotonic() + act.timeout_s
    with (
        httpx.Client(timeout=act.timeout_s, trust_env=False) as client,
        client.stream(act.method, act.url, json=body) as answer,
    ):
        read = bytearray()
        for part in answer.iter_bytes():
            read += part
            if len(read) > _READ_BYTES:
                break
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout("the answer trickles", request=answer.request)
    return answer.status_code, decoded(bytes(read), answer.encoding)


def _unavailable(act: HttpAct, error: Exception, redactor: Redactor) -> UnavailableError:
    """Return what stopped the request; only what may be repeated is called passing."""
    is_safe = act.method != "POST" or isinstance(error, _NEVER_SENT)
    said = f"no answer within {act.timeout_s:g} s"
    if not isinstance(error, httpx.TimeoutException):
        said = " ".join(str(error).split()) or type(error).__name__
    hint = None if is_safe else "It may have arrived: look there before retrying."
    return UnavailableError(
        redactor.text(f"{act.method} {act.url}: {said}"), hint=hint, transient=is_safe
    )
