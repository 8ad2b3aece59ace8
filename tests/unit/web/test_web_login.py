"""Looking without acting: a link becomes a session, and nothing is shown without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from web_site import INCIDENT, PLAN, RUN, WebSite, web_site, with_incident

from processpilot.web.links import SESSION_TTL_S, Purpose

PAGES = ("/", f"/incident/{INCIDENT}", f"/run/{RUN}", f"/run/{RUN}/events")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[WebSite]:
    """Return a server with an incident that a run answers."""
    with web_site(tmp_path) as found:
        with_incident(found, "Secret failure")
        yield found


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_shown_without_a_session(site: WebSite, path: str) -> None:
    """Neither what there is, nor whether there is anything of that name."""
    login = site.links.login("Ada").rpartition("/")[2]
    act = site.links.link_for(INCIDENT, "acknowledge", "Ada").rpartition("/")[2]
    for cookie in (None, "", "x", login, act, site.links.secret.text):
        headers = {} if cookie is None else {"Cookie": f"processpilot={cookie}"}
        answer = site.ask(path, headers=headers)
        assert answer.status in (401, 403)
        assert "Secret failure" not in answer.text
    missing = path.replace(INCIDENT, "i9").replace(RUN, "r9")
    assert site.ask(missing).status == 401


def test_a_session_is_made_by_a_button(site: WebSite) -> None:
    """The cookie is kept from scripts and from other sites, and lasts half a day."""
    link = site.links.login("Ada", f"incident/{INCIDENT}")
    page = site.ask(link)
    assert page.status == 200 and "set-cookie" not in page.headers
    answer = site.send_form(link, {"form": page.field("form")})
    assert answer.status == 303
    assert answer.headers["location"] == f"/dr/incident/{INCIDENT}"
    cookie = answer.headers["set-cookie"].lower()
    for word in ("httponly", "samesite=strict", "max-age=43200", "path=/dr/"):
        assert word in cookie
    assert site.send_form(link, {"form": ""}).status == 403


def test_over_https_the_cookie_stays_there(tmp_path: Path) -> None:
    """It is never sent in clear text then."""
    plan = PLAN.replace("url: http://127.0.0.1:1/dr", "url: https://127.0.0.1:1")
    with web_site(tmp_path, plan) as site:
        link = site.links.login("Ada").replace("https://127.0.0.1:1", "")
        answer = site.send_form(link, {"form": site.ask(link).field("form")})
        assert "; secure" in answer.headers["set-cookie"].lower()


def test_a_session_ends(site: WebSite) -> None:
    """After half a day it shows nothing any more."""
    session = site.session()
    assert site.ask("/", headers=session).status == 200
    site.clock.later(SESSION_TTL_S)
    assert site.ask("/", headers=session).status == 403


def test_a_session_acts_on_nothing(site: WebSite) -> None:
    """It opens no link's page, and its token is no form's."""
    session = site.session()
    token = session["Cookie"].partition("=")[2]
    assert site.ask(f"/link/{token}", headers=session).status == 403
    link = site.links.link_for(INCIDENT, "acknowledge", "Ada")
    assert site.send_form(link, {"form": token, "act": "acknowledge"}).status == 403
    assert site.incident().acknowledged_by is None


def test_a_login_leads_to_pages_of_ours_only(site: WebSite) -> None:
    """Whatever page a link names, nobody is sent elsewhere."""
    for page in ("/evil.example", "//evil.example", "incident/../../x", "https://evil.example"):
        link = f"/login/{site.links.token(Purpose.LOGIN, page, '', 'Ada', 60)}"
        answer = site.send_form(link, {"form": site.ask(link).field("form")})
        assert answer.headers["location"] == "/dr/"
