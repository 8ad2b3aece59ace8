"""The plan of our own runbook `wiki.md`, mended for the site it is tried on; see `seed_mend`."""

from __future__ import annotations

from collections.abc import Iterator

from seed_mend import CHANNELS, Edit, Facts, applied


def mended(text: str, facts: Facts) -> str:
    """Return the plan with every edit made; AssertionError names one that no longer fits."""
    return applied(text, (*_agreed(), *_database(), *_application(facts)))


def _agreed() -> Iterator[Edit]:
    yield Edit(
        "the status page comes back within half an hour only if the database does",
        "    title: Ticket database\n    priority: critical\n    rto: 2h\n    rpo: 10m\n",
        "    title: Ticket database\n    priority: critical\n    rto: 30m\n    rpo: 0\n",
    )
    yield CHANNELS
    for number, role in enumerate(("incident-commander", "responder", "scribe")):
        head = f"    - id: {role}\n"
        contact = f'      contact: {{phone: "+49 30 901810 {number}"}}\n'
        yield Edit(f"{role} can be called", head, f"{head}{contact}")
    yield Edit(
        "whoever is asked in the first minutes is woken in the first minutes",
        "      page: [responder]\n",
        "      page: [responder, incident-commander]\n",
    )


def _database() -> Iterator[Edit]:
    yield Edit(
        "a physical restore takes minutes",
        "        action: restore\n        timebox: 1h\n",
        "        action: restore\n        timebox: 5m\n",
    )
    yield Edit(
        "maintenance mode is the plan's own",
        "        action: command\n        argv: [touch, /srv/kestrel/maintenance.on]\n",
        '        action: maintenance\n        mode: "on"\n'
        '        undo: {action: maintenance, mode: "off"}\n',
    )
    down = (
        "      - id: take-the-maintenance-page-down-rm-srv-kestrel\n"
        '        title: "Take the maintenance page down: rm /srv/kestrel/maintenance.on"\n'
    )
    command = (
        "        action: command\n        argv: [rm, /srv/kestrel/maintenance.on]\n"
        "        approval: incident-commander\n        origin: wiki.md:63\n"
    )
    yield Edit("a page that is closed looks like one that is down", down + command, "")
    off = '        action: maintenance\n        mode: "off"\n        origin: wiki.md:63\n'
    start = (
        "      # inferred: what works again after it\n"
        "      - id: start-the-application\n        title: Start the application\n"
    )
    yield Edit("so it opens before anybody looks", start, f"{down}{off}{start}")


def _application(facts: Facts) -> Iterator[Edit]:
    yield Edit("the log is somewhere else", "/var/log/kestrel/api.log]", f"{facts.api_log}]")
    yield Edit(
        "a restart that fails is no reason to stop: what comes next is for that",
        "            do: restart\n            origin: wiki.md:42\n",
        "            do: restart\n"
        "            on_failure: go-on\n"
        "            reason: the next step asks whether the restart helped\n"
        "            origin: wiki.md:42\n",
    )
    yield Edit(
        "an answer proves more than two minutes before a dashboard",
        "            action: manual\n"
        "            instruction: watch the dashboard for two minutes\n",
        "            action: check\n"
        "            conditions: [{kind: probe, probe: api.health}]\n"
        "            within: 3s\n"
        "            on_failure: go-on\n"
        "            reason: the restart did not help\n",
    )
    head = "      - id: tell-the-support-desk\n        title: Tell the support desk\n"
    yield Edit(
        "the rollback is proven, and a message needs nobody to send it",
        f"{head}        action: manual\n        instruction: Tell the support desk\n",
        "      - id: serves\n"
        "        title: See that the application serves\n"
        "        action: check\n"
        "        conditions:\n"
        "          - {kind: probe, probe: api.health}\n"
        "          - {kind: probe, probe: frontend.gateway}\n"
        "          - {kind: probe, probe: email.queue}\n"
        "          - {kind: probe, probe: analytics.lag}\n"
        "        within: 1m\n"
        f"{head}        action: message\n        text: The API answers again.\n",
    )
