"""What the team agrees on before the night: who is reached how, who is told what, whom they ask.

Put into a plan, imported or built in, as people do in an hour with the whole team.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from processpilot.plan.secrets import write_secret

SECRETS = ".processpilot/secrets"
WEB_SECRET = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of a server on the loopback
FENCE = "fence"
ASK_HOSTING = "ask-hosting"
# Everybody of the night with their channels, in the order in which they are tried.
PEOPLE: Mapping[str, tuple[str, ...]] = {
    "DevOps Engineer": ("devops-pager", "devops-chat"),
    "CTO": ("cto-mail",),
    "Backend Developer": ("backend-mail",),
    "Lead Developer": ("lead-mail",),
    "Managing Director": ("director-mail",),
    "Product Manager": ("product-mail",),
    "Project Manager": ("project-mail",),
}
_LEVELS = (
    ("Level 1 (0-30 min): Primary on-call responds", 0, ("primary", "incident-commander")),
    (
        "Level 2 (30-60 min): Secondary on-call and team lead",
        "30m",
        ("secondary", "Lead Developer"),
    ),
    (
        "Level 3 (60+ min): Incident commander and senior leadership",
        "60m",
        ("incident-commander", "Managing Director"),
    ),
)
# What the business agreed to once the arithmetic lay on the table, as in the mended seed.
_OBJECTIVES = {"database": {"rto": "2h", "rpo": 0}, "frontend": {"rto": "2h"}}
STATUS = ("status-mail", "status-page")
_MAIL = "mailto://127.0.0.1:{port}?from=processpilot@site.test&to={to}@site.test&mode=insecure"
_HOOK = "json://127.0.0.1:{port}/{path}"
_LOOK = {
    "id": "look-at-the-dashboards",
    "title": "Look at the dashboards",
    "action": "manual",
    "instruction": "Look at the dashboards and write down what you see.",
}
_QUESTION = {
    "id": ASK_HOSTING,
    "title": "Ask the hosting company whether the new disk is sound",
    "action": "vendor",
    "vendor": "database-hosting",
    "severity": "high",
    "text": "Our database's volume vanished at 03:00 UTC. Is the new one sound, and what happened?",
}
_RESTORE = {"id": "restore", "title": "Newest backup restored", "kind": "restore", "every": "30d"}


@dataclass(frozen=True, slots=True)
class Doors:
    """Ports on the loopback: mail, the mail server that is down, chat, status page, our own."""

    post: int
    pager: int
    chat: int
    status: int
    web: int


def agreed(text: str, scenario: str, doors: Doors) -> str:
    """Return the plan with the team's agreements in it."""
    plan: dict[str, Any] = yaml.safe_load(text)
    plan["web"] = {
        "listen": f"127.0.0.1:{doors.web}",
        "url": f"http://127.0.0.1:{doors.web}",
        "secret": f"file:{SECRETS}/web",
    }
    plan["updates"] = {
        "channels": list(STATUS),
        "approval": "communications-lead",
        "first_within": "5m",
        "every": "20m",
    }
    known = [one for one in plan.get("channels", ()) if one["id"] not in _addresses(doors)]
    new = [{"id": name, "url": f"file:{SECRETS}/{name}"} for name in _addresses(doors)]
    plan["channels"] = known + new
    plan["team"] |= _team()
    for component in plan["components"]:
        component |= _OBJECTIVES.get(component["id"], {})
    plan["vendors"] = _vendors(plan)
    plan.setdefault("support", [{"severity": "high", "response": "4h"}])
    # One drill: another would be due by itself before the night is over.
    plan["drills"] = (plan.get("drills") or [_RESTORE])[:1]
    steps = next(one for one in plan["scenarios"] if one["id"] == scenario)["steps"]
    _staff(steps)
    steps.append(_QUESTION)
    return yaml.safe_dump(plan, sort_keys=False, allow_unicode=True)


def write_secrets(folder: Path, doors: Doors) -> None:
    """Write down where the channels lead, and what signs the links."""
    for name, address in _addresses(doors).items():
        write_secret(folder / SECRETS / name, address)
    write_secret(folder / SECRETS / "web", WEB_SECRET)


def _addresses(doors: Doors) -> dict[str, str]:
    mails = ("cto", "backend", "lead", "director", "product", "project", "hosting", "status")
    found = {f"{to}-mail": _MAIL.format(port=doors.post, to=to) for to in mails}
    return found | {
        "devops-pager": _MAIL.format(port=doors.pager, to="devops"),
        "devops-chat": _HOOK.format(port=doors.chat, path="devops"),
        "status-page": _HOOK.format(port=doors.status, path="status"),
        "chat": _HOOK.format(port=doors.chat, path="team"),
        "mail": _MAIL.format(port=doors.post, to="team"),
    }


def _team() -> dict[str, Any]:
    return {
        "people": [
            {
                "name": name,
                "accounts": [name.split()[0].lower()],
                "phone": f"+49 30 901830 {number}",
                "channels": list(channels),
            }
            for number, (name, channels) in enumerate(PEOPLE.items())
        ],
        "escalation": [
            {"title": title, "after": after, "page": list(page)} for title, after, page in _LEVELS
        ],
    }


def _vendors(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the vendors, of whom the hosting company is asked by mail."""
    hosting = {"id": "database-hosting", "title": "Database Hosting", "phone": "+49 30 901820 0",
               "channels": ["hosting-mail"]}  # fmt: skip
    others = list(plan.get("vendors", ()))
    known = next((one for one in others if one["id"] == hosting["id"]), {})
    return [known | hosting, *(one for one in others if one["id"] != hosting["id"])]


def _staff(steps: list[dict[str, Any]]) -> None:
    """Say who does what only people can, and to whom messages go; somebody looks first."""
    found = [*_every(steps)]
    if not any(step["action"] == "manual" for step in found):
        steps.insert(0, dict(_LOOK))
    for step in _every(steps):
        if step["action"] == "manual":
            step["role"] = "database-administrator"
        elif step["action"] == "message":
            step["channels"] = ["chat", "mail"]


def _every(steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for step in steps:
        if "steps" in step:
            yield from _every(step["steps"])
        else:
            yield step
