"""POST /alerts: Alertmanager's webhook, version 4; each alert opens or updates an incident.

Fields that are not known are passed over, because Alertmanager adds some; those that are known must
be what they are said to be.
https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from processpilot.incident.intake import Alert, receive_alert
from processpilot.web.admission import ALERTS
from processpilot.web.ground import Ground, read_body
from processpilot.web.statuses import MALFORMED, RequestError

LIMIT_BYTES = 512 << 10
MOST_ALERTS = 500


class AlertmanagerAlert(BaseModel):
    """One alert of a webhook's group."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    fingerprint: str = Field("", max_length=100)
    starts_at: AwareDatetime = Field(alias="startsAt")


class AlertmanagerWebhook(BaseModel):
    """What Alertmanager posts; `truncatedAlerts` counts those it left out."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    version: Literal["4"]
    alerts: tuple[AlertmanagerAlert, ...] = Field(max_length=MOST_ALERTS)


def routes(ground: Ground) -> APIRouter:
    """Return the resource."""
    router = APIRouter()

    @router.post("/alerts")
    @router.post("/alerts/{token}")
    async def post_alerts(request: Request) -> Response:
        ground.admit(ALERTS, request)
        body = await read_body(request, LIMIT_BYTES)
        return await run_in_threadpool(_take, ground, body)

    return router


def _take(ground: Ground, body: bytes) -> Response:
    wired, plan = ground.wired, ground.plan
    incidents: dict[str, None] = {}
    unmatched = 0
    for one in _parsed(body).alerts:
        alert = Alert(
            labels=one.labels,
            annotations=one.annotations,
            status=one.status,
            fingerprint=one.fingerprint,
            starts_at=one.starts_at.isoformat(),
        )
        found = receive_alert(wired.journal, plan, wired.clock, wired.new_id, alert)
        if found is None:
            unmatched += 1
        else:
            incidents[found.incident_id] = None
    return JSONResponse({"incidents": list(incidents), "unmatched": unmatched})


def _parsed(body: bytes) -> AlertmanagerWebhook:
    try:
        return AlertmanagerWebhook.model_validate_json(body)
    except ValidationError as error:
        raise RequestError(MALFORMED, told_in_one_line(error)) from None


def told_in_one_line(error: ValidationError) -> str:
    """Return where a document is wrong first and what is wrong there, without its values."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    words = " ".join(f"{place}: {first['msg']}".removeprefix(": ").split())
    return words if len(words) <= 300 else f"{words[:300]}…"
