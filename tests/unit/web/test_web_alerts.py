"""Alertmanager's webhook over real HTTP: incidents are opened once, and rubbish is refused."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from web_site import SECRET, WebSite, web_site

from processpilot.incident.record import newest_incidents, open_incidents, read_incident
from processpilot.web.admission import inbound_token
from processpilot.web.alerts import LIMIT_BYTES


@pytest.fixture
def site(tmp_path: Path) -> Iterator[WebSite]:
    """Return a server without any incident."""
    with web_site(tmp_path) as found:
        yield found


def alert(**changes: object) -> dict[str, Any]:
    """Return one alert as Alertmanager sends it."""
    return {
        "status": "firing",
        "labels": {"alertname": "DiskFull", "severity": "critical", "instance": "db1"},
        "annotations": {"summary": "Disk of db1 is full", "description": "98 % used"},
        "startsAt": "2026-11-26T02:59:58.123456789+01:00",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph?g0.expr=x",
        "fingerprint": "a1b2c3d4e5f60718",
        **changes,
    }


def webhook(*alerts: dict[str, Any], **changes: object) -> dict[str, Any]:
    """Return what Alertmanager posts for a group."""
    return {
        "version": "4",
        "groupKey": '{}:{alertname="DiskFull"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "processpilot",
        "groupLabels": {"alertname": "DiskFull"},
        "commonLabels": {"severity": "critical"},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager",
        "alerts": list(alerts),
        **changes,
    }


def test_an_alert_opens_an_incident_once(site: WebSite) -> None:
    """However often Alertmanager repeats it, and in whatever group."""
    first = site.post_json("/alerts", webhook(alert()))
    assert first.status == 200
    again = [site.post_json("/alerts", webhook(alert(), receiver="other")) for _ in range(3)]
    (incident,) = open_incidents(site.wired.journal)
    assert {answer.text for answer in [first, *again]} == {
        f'{{"incidents":["{incident.incident_id}"],"unmatched":0}}'
    }
    assert (incident.title, incident.severity) == ("Disk of db1 is full", "SEV-2")
    assert len(site.wired.journal.read(f"incident/{incident.incident_id}")) == incident.sequence


def test_alerts_at_once_open_one_incident(site: WebSite) -> None:
    """Two Alertmanagers that watch each other send the same at the same moment."""
    threads = [
        threading.Thread(target=site.post_json, args=("/alerts", webhook(alert())))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(newest_incidents(site.wired.journal, 10)) == 1


def test_an_alert_that_ends_is_noted(site: WebSite) -> None:
    """The incident stays open: people decide."""
    site.post_json("/alerts", webhook(alert()))
    site.post_json("/alerts", webhook(alert(status="resolved"), status="resolved"))
    (incident,) = open_incidents(site.wired.journal)
    assert incident.alerts == {"a1b2c3d4e5f60718": "resolved"}


def test_an_alert_that_no_rule_names_opens_nothing(site: WebSite) -> None:
    """And the answer says how many there were, for whoever wires it up."""
    answer = site.post_json("/alerts", webhook(alert(labels={"severity": "info"})))
    assert (answer.status, answer.text) == (200, '{"incidents":[],"unmatched":1}')
    assert open_incidents(site.wired.journal) == ()


def test_the_token_may_stand_in_the_address(site: WebSite) -> None:
    """The place's own one, or the secret."""
    for token in (inbound_token(site.links.secret, "alerts"), SECRET):
        assert site.post_json(f"/alerts/{token}", webhook(alert()), token=None).status == 200


@pytest.mark.parametrize("token", [None, "", "x", SECRET[:-1], SECRET + "0"])
def test_without_the_token_nothing_is_read(site: WebSite, token: str | None) -> None:
    """401, even for what is no alert at all; and it is counted."""
    answer = site.ask(
        "/alerts", "POST", b"{", {} if token is None else {"Authorization": f"Bearer {token}"}
    )
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert SECRET not in answer.text
    assert site.post_json(f"/alerts/{token or '-'}", webhook(alert()), token=None).status == 401
    assert open_incidents(site.wired.journal) == ()
    overview = site.ask("/", headers=site.session()).text
    assert "2 × 401 at alerts" in overview


def test_a_token_in_the_query_is_none(site: WebSite) -> None:
    """Query strings end up in the logs of proxies."""
    assert site.post_json(f"/alerts?token={SECRET}", webhook(alert()), token=None).status == 401


MALFORMED = {
    "no JSON": (b"{", "Invalid JSON"),
    "no text": (b"\xff\xfe", "Invalid JSON"),
    "no object": (b"[]", "Input should be an object"),
    "nested": (b"[" * 10_000, "Invalid JSON"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_document_is_refused(site: WebSite, name: str) -> None:
    """With one line that says what is wrong."""
    body, words = MALFORMED[name]
    answer = site.ask("/alerts", "POST", body, {"Authorization": f"Bearer {SECRET}"})
    assert answer.status == 422
    assert words in answer.text
    assert answer.text.count("\n") == 1


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (webhook(alert(), version="3"), "version: "),
        ({"alerts": []}, "version: Field required"),
        (webhook(alert(status="maybe")), "alerts.0.status: "),
        (webhook(alert(labels={"a": 1})), "alerts.0.labels.a: "),
        (webhook(alert(labels="x")), "alerts.0.labels: "),
        (webhook(alert(startsAt="yesterday")), "alerts.0.startsAt: "),
        (webhook(alert(startsAt="2026-11-26T03:00:00")), "alerts.0.startsAt: "),
        (webhook(alert(labels={"a": "\ud800"})), "Invalid JSON"),
        (webhook(*[alert()] * 501), "alerts: "),
    ],
)
def test_a_wrong_document_is_refused(site: WebSite, document: object, words: str) -> None:
    """The line names the place; nothing was opened."""
    answer = site.post_json("/alerts", document)
    assert answer.status == 422
    assert answer.text.startswith(words)
    assert answer.text.count("\n") == 1
    assert open_incidents(site.wired.journal) == ()


def test_fields_that_are_not_known_are_passed_over(site: WebSite) -> None:
    """Alertmanager adds some from time to time."""
    document = webhook(alert(silencedBy=[], newField={"a": [1]}), anotherField=None)
    assert site.post_json("/alerts", document).status == 200
    assert len(open_incidents(site.wired.journal)) == 1


def test_ten_megabytes_are_refused(site: WebSite) -> None:
    """Whether the length is told beforehand or not; the server goes on."""
    connection_headers = {"Authorization": f"Bearer {SECRET}"}
    for headers in (connection_headers, {**connection_headers, "Transfer-Encoding": "chunked"}):
        assert _big(site, headers) == 413
    assert site.ask("/healthz").status == 200


def _big(site: WebSite, headers: dict[str, str]) -> int | None:
    """Send 10 MB; return the status, or 413 for a server that hung up on it."""
    assert site.listener.address is not None
    connection = http.client.HTTPConnection(*site.listener.address, timeout=20)
    body = (b"x" * (64 << 10) for _ in range(160))
    try:
        if "Transfer-Encoding" in headers:
            connection.request("POST", "/alerts", body, headers, encode_chunked=True)
        else:
            connection.request("POST", "/alerts", b"x" * (10 << 20), headers)
        return connection.getresponse().status
    except (BrokenPipeError, ConnectionResetError):
        return 413
    finally:
        connection.close()


def test_a_large_group_is_taken(site: WebSite) -> None:
    """Many alerts with long texts, as a bad night brings them; the words are cut, not lost."""
    many = [
        alert(
            fingerprint=f"{n:016x}",
            labels={"alertname": f"A{n}", "severity": "critical"},
            annotations={"summary": f"Alert {n}", "description": "x" * 10_000},
        )
        for n in range(30)
    ]
    document = webhook(*many)
    assert LIMIT_BYTES / 2 < len(str(document)) < LIMIT_BYTES
    answer = site.post_json("/alerts", document)
    assert answer.status == 200
    assert len(open_incidents(site.wired.journal)) == 30


def test_hostile_labels_are_shown_as_they_are(site: WebSite) -> None:
    """No label becomes part of a page."""
    hostile = "<script>alert(1)</script>"
    annotations = {"summary": hostile, "description": f'"{hostile}\u202e'}
    labels = {"alertname": hostile, "severity": "critical", hostile: hostile}
    site.post_json("/alerts", webhook(alert(labels=labels, annotations=annotations)))
    (incident,) = open_incidents(site.wired.journal)
    session = site.session()
    for path in ("/", f"/incident/{incident.incident_id}"):
        page = site.ask(path, headers=session)
        assert page.status == 200
        assert "<script>alert" not in page.text and "\u202e" not in page.text
        assert "&lt;script&gt;alert(1)" in page.text
    assert read_incident(site.wired.journal, incident.incident_id).title == hostile
