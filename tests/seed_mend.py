"""The seed's imported plan, mended as a person would mend it: what is changed, and why.

`plan check` named every place. Each edit is what somebody writes in their editor; what they had to
find out first (who agrees, who is called where) no program can know.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

ROLES = (
    "incident-commander",
    "database-administrator",
    "application-team",
    "infrastructure-team",
    "communications-lead",
)
NOBODY = """\
      contact:
        phone: "[PHONE]"
        email: "[EMAIL]"
        chat: "[SLACK]"
"""
VENDOR = '    phone: "[Provider Support Contact]"\n'


@dataclass(frozen=True, slots=True)
class Edit:
    """One change: `old` stands in the plan once, or wherever it stands with `everywhere`."""

    why: str
    old: str
    new: str
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What the people at the site know: where the API answers and where its log is."""

    api: str
    api_log: str


CHANNELS = Edit(
    "messages have two ways out that do not depend on each other",
    "\nscenarios:\n",
    "\nchannels:\n"
    "  - {id: chat, title: Chat of the team, url: file:.processpilot/secrets/chat}\n"
    "  - {id: mail, title: Mail to the team, url: file:.processpilot/secrets/mail}\n"
    "\nscenarios:\n",
)


def mended(text: str, facts: Facts) -> str:
    """Return the plan with every edit made; AssertionError names one that no longer fits."""
    text = applied(text, (*edits(facts), *contacts()))
    for number in range(text.count(VENDOR)):
        text = text.replace(VENDOR, f'    phone: "+49 30 901820 {number}"\n', 1)
    return text


def applied(text: str, changes: Sequence[Edit]) -> str:
    """Return the text with the changes made, one after the other."""
    for edit in changes:
        found = text.count(edit.old)
        assert found == 1 or (found and edit.everywhere), f"{found} times: {edit.why}"
        text = text.replace(edit.old, edit.new)
    return text


def contacts() -> Iterator[Edit]:
    """Yield what fills the contacts in, one role after the other."""
    for number, role in enumerate(ROLES):
        head = f"    - id: {role}\n"
        yield Edit(f"{role} can be called", head, f"{head}{_contact(number)}")
    yield Edit("the placeholders go", NOBODY, "", everywhere=True)


def _contact(number: int) -> str:
    return f'      contact: {{phone: "+49 30 901810 {number}", chat: "@duty-{number}"}}\n'


def edits(facts: Facts) -> Iterator[Edit]:
    """Yield the edits in the order of the file."""
    yield from _objectives()
    yield from _people()
    yield Edit("the API's real address", "http://localhost:5000", facts.api, everywhere=True)
    yield from _database()
    yield from _application(facts)
    yield from _rest()


def _objectives() -> Iterator[Edit]:
    """Yield what the business agreed to, once the arithmetic lay on the table."""
    yield Edit(
        "the API needs the database within its own two hours, and loses nothing only if it does",
        "    title: Database\n    priority: critical\n    rto: 4h\n    rpo: 1h\n",
        "    title: Database\n    priority: critical\n    rto: 2h\n    rpo: 0\n",
    )
    yield Edit(
        "the page comes back with the API, not an hour before it",
        "    priority: high\n    rto: 1h\n",
        "    priority: high\n    rto: 2h\n",
    )


def _people() -> Iterator[Edit]:
    yield CHANNELS
    yield Edit(
        "one person cannot do two jobs at once",
        "      primary: DevOps Engineer\n      secondary: System Administrator\n",
        "      primary: System Administrator\n      secondary: DevOps Engineer\n",
    )
    yield Edit(
        "whoever is asked in the first minutes is woken in the first minutes",
        "      after: 0\n      page: [primary]\n",
        "      after: 0\n      page: [primary, incident-commander]\n",
    )


def _database() -> Iterator[Edit]:
    for identifier, title, text in (
        ("notify-incident-commander", "Notify incident commander", "The database has failed."),
        ("post-initial-status-update", "Post initial status update", "We are recovering data."),
    ):
        head = f"              - id: {identifier}\n                title: {title}\n"
        yield Edit(
            f"a message needs nobody to send it: {title}",
            f"{head}                action: manual\n                instruction: {title}\n",
            f"{head}                action: message\n                text: {text}\n",
        )
    yield Edit(
        "a physical restore takes minutes where reading a dump took an hour and a half",
        "            title: Database Recovery\n            action: sequence\n"
        "            timebox: 90m\n",
        "            title: Database Recovery\n            action: sequence\n"
        "            timebox: 30m\n",
    )
    for title, timebox in (("Application Restart", "15m"), ("Verification & Testing", "20m")):
        head = f"            title: {title}\n            action: sequence\n"
        yield Edit(
            f"so do the steps of {title}",
            f"{head}            timebox: 1h\n",
            f"{head}            timebox: {timebox}\n",
        )
    yield Edit(
        "and all of them together",
        "        timebox: 225m\n",
        "        timebox: 80m\n",
    )
    yield Edit(
        "npm's script became a familiar name",
        '                argv: [npm, run, "test:integration:critical"]\n'
        "                folder: backend/scripts\n"
        "                timeout: 60m\n",
        '                argv: [processpilot, as, "test:integration:critical"]\n'
        "                timeout: 20m\n",
    )
    yield Edit(
        "the first backup is part of being recovered",
        "        title: Take the first backup\n        action: backup\n",
        "        title: Take the first backup\n        action: backup\n        timebox: 10m\n",
    )


def _application(facts: Facts) -> Iterator[Edit]:
    yield Edit(
        "nginx is under supervisord, too",
        "            action: command\n            argv: [systemctl, status, nginx]\n",
        "            action: service\n            component: frontend\n            do: status\n",
    )
    yield Edit(
        "the log is somewhere else",
        '            argv: [tail, "-100", /var/log/processpilot/error.log]\n',
        f'            argv: [tail, "-100", {facts.api_log}]\n',
    )
    yield Edit(
        "there is no journal of systemd; the log has all of it",
        "          - id: check-logs-journalctl-u-processpilot-backend\n"
        '            title: "Check logs: journalctl -u processpilot-backend --since'
        ' \\"10 minutes ago\\""\n'
        "            action: command\n"
        '            argv: [journalctl, "-u", processpilot-backend, "--since", 10 minutes ago]\n'
        "            on_failure: go-on\n"
        "            reason: it only looks at the damage, which may well show here\n"
        "            origin: DISASTER_RECOVERY.md:160\n",
        "",
    )
    yield Edit(
        "a restart that fails is no reason to stop: what comes next is for that",
        "            do: restart\n            origin: DISASTER_RECOVERY.md:166\n",
        "            do: restart\n"
        "            on_failure: go-on\n"
        "            reason: the next step asks whether the restart helped\n"
        "            origin: DISASTER_RECOVERY.md:166\n",
    )
    yield Edit(
        "nginx again",
        "            action: command\n            argv: [systemctl, restart, nginx]\n"
        "            timeout: 45m\n",
        "            action: service\n            component: frontend\n            do: restart\n",
    )
    yield from _does_it_serve()
    yield from _rollback()


def _does_it_serve() -> Iterator[Edit]:
    yield Edit(
        "a process in a list proves nothing; an answer does",
        "          - id: verify-process-status-ps-aux-grep-node\n"
        '            title: "Verify process status: ps aux | grep node"\n'
        "            action: command\n"
        '            argv: [sh, "-c", "ps aux | grep node"]\n',
        "          - id: restarted\n"
        "            title: See whether the restart helped\n"
        "            action: check\n"
        "            conditions: [{kind: probe, probe: api.health}]\n"
        "            within: 3s\n"
        "            on_failure: go-on\n"
        "            reason: the restart did not help\n",
    )
    yield Edit(
        "and a port that listens proves no more",
        "          - id: verify-process-status-netstat-tulpn-grep-5000\n"
        '            title: "Verify process status: netstat -tulpn | grep 5000"\n'
        "            action: command\n"
        '            argv: [sh, "-c", "netstat -tulpn | grep 5000"]\n'
        "            origin: DISASTER_RECOVERY.md:171\n",
        "",
    )


def _rollback() -> Iterator[Edit]:
    yield Edit(
        "people see a calm page while releases are changed, and the rollback is proven",
        "        title: Application Deployment\n        action: sequence\n        steps:\n",
        "        title: Application Deployment\n        action: sequence\n"
        "        timebox: 30m\n        steps:\n"
        "          - id: close\n"
        "            title: Turn maintenance mode on\n"
        "            action: maintenance\n"
        '            mode: "on"\n'
        "            only_if: {kind: probe, probe: api.health, passes: false}\n"
        '            undo: {action: maintenance, mode: "off"}\n',
    )
    yield Edit(
        "the application's own people decide on its releases",
        "            do: rollback\n            approval: incident-commander\n",
        "            do: rollback\n            approval: application-team\n",
    )
    yield Edit(
        "the way back to the public, and proof that it is one",
        "            origin: DISASTER_RECOVERY.md:178\n",
        "            origin: DISASTER_RECOVERY.md:178\n"
        "          - id: open\n"
        "            title: Turn maintenance mode off\n"
        "            action: maintenance\n"
        '            mode: "off"\n'
        "          - id: serves\n"
        "            title: See that the application serves\n"
        "            action: check\n"
        "            conditions:\n"
        "              - {kind: probe, probe: api.health}\n"
        "              - {kind: probe, probe: frontend.gateway}\n"
        "              - {kind: probe, probe: email.queue}\n"
        "              - {kind: probe, probe: analytics.lag}\n"
        "            within: 1m\n",
    )


def _rest() -> Iterator[Edit]:
    yield Edit(
        "what proves it",
        "  - text: Core business functions operational\n",
        "  - text: Core business functions operational\n"
        "    by: [Every request has its approval steps, Decided requests are in the history]\n",
    )
    yield Edit(
        "a drill restores the newest backup, not a file",
        '[./restore.sh, postgresql, /path/to/production/backup.dump, "--target=staging"]',
        '[./restore.sh, postgresql, latest, "--target=staging"]',
    )
    yield Edit(
        "the same, under its new name",
        '        argv: [npm, run, "test:data-integrity", "--env=staging"]\n',
        '        argv: [processpilot, as, "test:data-integrity", "--env=staging"]\n',
    )
    yield Edit(
        "a drill must not do this to production",
        "      - id: simulate-complete-failure\n"
        "        title: Simulate complete failure\n"
        "        action: command\n"
        "        argv: [systemctl, stop, processpilot-backend]\n"
        "        origin: DISASTER_RECOVERY.md:423\n",
        "",
    )
