"""Health over HTTP: a word for load balancers, a report for people."""

from __future__ import annotations

import time

from fastapi import APIRouter, Response

from processpilot.demo.application.api.access import TheDatabase
from processpilot.demo.application.health import HealthReport, check_database, check_health

router = APIRouter()


@router.get("/api/health")
def health(database: TheDatabase) -> dict[str, str]:
    """Say ok if the database answers; otherwise the status is 503."""
    check_database(database)
    return {"status": "ok"}


@router.get("/health/detailed")
def detailed(database: TheDatabase, response: Response) -> HealthReport:
    """Report database, migrations and counts, with status 503 and reasons unless all is well."""
    report = check_health(database, time.monotonic)
    response.status_code = 503 if report.reasons else 200
    return report
