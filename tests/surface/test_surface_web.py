"""The server as its document describes it: addresses, headers, and the examples."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from fastapi import FastAPI
from fastapi.routing import APIRoute
from web_site import INCIDENT, RUN, SECRET, WebSite, web_site, with_incident

from processpilot import __version__
from processpilot.incident.heartbeat import last_beats
from processpilot.web import acts, alerts, health, heartbeats, live, login, pages, reply
from processpilot.web.admission import inbound_addresses
from processpilot.web.ground import Ground

DOCUMENT = Path("docs/inbound.md")
HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[WebSite]:
    """Return a server with an incident that a run answers."""
    with web_site(tmp_path) as found:
        with_incident(found)
        yield found


def test_every_address_is_documented(site: WebSite) -> None:
    """With its methods; nothing else is served."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    ground = Ground(site.wired, site.links, lambda: ())
    found: dict[str, set[str]] = {}
    for resource in (health, alerts, heartbeats, reply, login, acts, live, pages):
        for route in resource.routes(ground).routes:
            assert isinstance(route, APIRoute)
            found.setdefault(route.path, set()).update(route.methods)
    assert not app.openapi_url
    documented: dict[str, set[str]] = {}
    section = DOCUMENT.read_text().partition("## Addresses")[2].partition("## ")[0]
    for line in section.splitlines():
        if line.startswith("| `"):
            addresses, methods, _ = line.strip("| ").split(" | ")
            for address in re.findall(r"`([^`]+)`", addresses):
                documented[address] = set(methods.split(", "))
    assert documented == found


@pytest.mark.parametrize(
    "path",
    ["/", "/healthz", f"/run/{RUN}", "/nothing", "/alerts", "/link/x", "/docs", "/openapi.json"],
)
def test_every_answer_is_careful(site: WebSite, path: str) -> None:
    """With or without a session, for pages, refusals and what is not there."""
    for headers in ({}, site.session()):
        answer = site.ask(path, headers=headers)
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy and "http" not in policy and "*" not in policy
        assert "server" not in answer.headers


def test_the_policy_names_what_stands_in_the_page(site: WebSite) -> None:
    """Style and script are allowed by their digest; a browser would drop them otherwise."""
    import base64

    answer = site.ask(f"/run/{RUN}", headers=site.session())
    policy = answer.headers["content-security-policy"]
    for tag in ("style", "script"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_health_is_as_documented(site: WebSite) -> None:
    """Two fields, which stay."""
    assert json.loads(site.ask("/healthz").text) == {"status": "ok", "version": __version__}
    (example,) = re.findall(r'`(\{"status".*?\})`', DOCUMENT.read_text())
    assert json.loads(example).keys() == {"status", "version"}


def test_a_token_is_made_as_documented(site: WebSite) -> None:
    """So that it can be made without us, and openssl agrees."""
    for place, address in inbound_addresses(site.wired.loaded.plan, site.links.secret).items():
        text = f"processpilot inbound 1\n{place}".encode()
        token = hmac.new(SECRET.encode(), text, hashlib.sha256).hexdigest()[:32]
        assert address.endswith(f"/{place}/{token}")


def test_the_example_for_alertmanager_reads_well() -> None:
    """It is YAML, and leads to the place that takes it."""
    blocks = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    web, receivers = (yaml.safe_load(block) for block in blocks)
    (config,) = receivers["receivers"][0]["webhook_configs"]
    assert config["url"] == f"{web['web']['url']}/alerts"


def test_the_crontab_line_beats(site: WebSite) -> None:
    """The documented curl command, with this server's address and token."""
    (line,) = re.findall(r"&& (curl .*)", DOCUMENT.read_text())
    assert site.listener.address is not None
    host, port = site.listener.address
    address = inbound_addresses(site.wired.loaded.plan, site.links.secret)["heartbeat/nightly"]
    here = address.replace("http://127.0.0.1:1/dr", f"http://{host}:{port}")
    command = line.split()
    command[-1] = here
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.startswith("taken at ")
    assert "nightly" in last_beats(site.wired.state_dir, site.wired.loaded.plan)


def test_from_the_message_to_the_run(site: WebSite) -> None:
    """One walk: open the link, press, look, and nothing more can be done with what was given."""
    link = site.links.link_for(INCIDENT, "acknowledge", "Ada")
    answer = site.press(link, "acknowledge")
    page = site.ask(answer.headers["location"])
    (further,) = re.findall(r'href="(/dr/login/[^"]+)"', page.text)
    entered = site.send_form(further, {"form": site.ask(further).field("form")})
    assert entered.headers["location"] == f"/dr/incident/{INCIDENT}"
    session = {"Cookie": entered.headers["set-cookie"].partition(";")[0]}
    seen = site.ask(entered.headers["location"], headers=session)
    assert "acknowledged by Ada (link)" in seen.text
    assert f"/dr/run/{RUN}" in seen.text
    assert site.ask(f"/run/{RUN}", headers=session).status == 200
    assert site.ask(f"/run/{RUN}", "POST", b"", session).status == 405
