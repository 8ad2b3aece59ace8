"""What changed between two plans, said as people say it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_text import load
from rich_plan import SECRETS, rich_document, rich_text

from processpilot.plan.difference import ChangeKind, difference
from processpilot.plan.load import PlanError
from processpilot.plan.model import Plan

Document = dict[str, Any]


def plan_of(document: Document) -> Plan:
    """Return a plan written as YAML and read again."""
    return load(yaml.safe_dump(document, allow_unicode=True, sort_keys=False)).plan


def steps(document: Document) -> list[Document]:
    """Return the steps of the first scenario."""
    found: list[Document] = document["scenarios"][0]["steps"]
    return found


def changed(change: Callable[[Document], object]) -> list[str]:
    """Return what is said after a change of the richest plan."""
    before, after = rich_document(), rich_document()
    change(after)
    return [str(one) for one in difference(plan_of(before), plan_of(after))]


CASES: dict[str, tuple[Callable[[Document], object], list[str]]] = {
    "time box": (
        lambda d: steps(d)[0].update(timebox="10m"),
        ["scenario breach: time box of isolate: 5 min -> 10 min"],
    ),
    "command": (
        lambda d: steps(d)[0].update(argv=["iptables", "-A", "a b"]),
        [
            "scenario breach: command of isolate: iptables -A INPUT -s 203.0.113.7 -j DROP "
            "-> iptables -A 'a b'"
        ],
    ),
    "approval taken away": (
        lambda d: steps(d)[0].pop("approval"),
        ["scenario breach: approval of isolate: commander -> none"],
    ),
    "objective": (
        lambda d: d["components"][0].update(rto="90m"),
        ["component database: recovery time objective: 4 h -> 1 h 30 min"],
    ),
    "probe": (
        lambda d: d["components"][0]["probes"][0].update(every="30s"),
        ["component database: interval of probe connect: 2 s -> 30 s"],
    ),
    "step added": (
        lambda d: steps(d).insert(1, {"id": "new", "title": "Breathe", "action": "manual"}),
        ["scenario breach: step new added: Breathe"],
    ),
    "step removed": (
        lambda d: steps(d).pop(0),
        ["scenario breach: step isolate removed: Isolate <script>alert('x')</script> & \"quotes\""],
    ),
    "step moved": (
        lambda d: steps(d).insert(0, steps(d).pop(2)),
        ["scenario breach: step script moved: after copy -> first"],
    ),
    "step into a group": (
        lambda d: _into_group(d),
        ["scenario breach: place of query: in no group -> in side"],
    ),
    "kind of act": (
        lambda d: steps(d).__setitem__(6, {"id": "agree", "title": "Go live", "action": "manual"}),
        ["scenario breach: agree: "],
    ),
    "role": (
        lambda d: d["team"]["roles"][0].update(secondary="Linus"),
        ["secondary of role commander: Grace -> Linus"],
    ),
    "contact": (
        lambda d: d["team"]["people"][1].update(phone="+1"),
        ["phone of person Grace: +49 171 7654321 -> +1"],
    ),
    "role removed": (
        lambda d: d["team"]["roles"].pop(2),
        ["role dba removed: Database Administrator"],
    ),
    "component added": (
        lambda d: d["components"].append(
            {"id": "mail", "title": "Mail", "priority": "low", "rto": "8h", "rpo": "4h"}
        ),
        ["component mail added: Mail"],
    ),
    "dependencies": (
        lambda d: d["components"][1].update(depends_on=[]),
        ["component api: dependencies: database -> none"],
    ),
    "undo": (
        lambda d: steps(d)[0]["undo"].update(argv=["true"]),
        [
            "scenario breach: command of undo of isolate: "
            "iptables -D INPUT -s 203.0.113.7 -j DROP -> true"
        ],
    ),
    "password": (
        lambda d: steps(d)[1]["env"].update(DB_PASSWORD="other"),
        ["scenario breach: environment of copy changed where passwords are left out"],
    ),
    "retention": (
        lambda d: d.update(backup={"retention": {"daily": 3}}),
        ["daily of retention of backup: 14 -> 3"],
    ),
    "checklist": (
        lambda d: d["checklist"].append({"text": "Mail goes out"}),
        ["checklist line Mail goes out added"],
    ),
    "drill": (lambda d: d["drills"][0].update(every="90d"), ["drill d1: interval: 30 d -> 90 d"]),
    "escalation": (
        lambda d: d["team"]["escalation"][2].update(after="45m"),
        ["time to wait of escalation level Then: 30 min -> 45 min"],
    ),
}


def _into_group(document: Document) -> None:
    step = steps(document).pop(3)
    steps(document)[3]["steps"].insert(0, step)


@pytest.mark.parametrize("case", CASES)
def test_a_change_is_said_in_words(case: str) -> None:
    """One change, one line, with before and after."""
    change, wanted = CASES[case]
    found = changed(change)
    if case == "kind of act":
        assert len(found) == 1 and found[0].startswith(wanted[0])
    elif case == "step into a group":
        # A group begins before what is in it, so the step now comes after it.
        assert wanted[0] in found and len(found) <= 2
    else:
        assert found == wanted


def test_layout_and_comments_are_no_difference() -> None:
    """The same plan written otherwise is the same plan."""
    flow = yaml.safe_dump(rich_document(), default_flow_style=True, sort_keys=True)
    assert difference(load(rich_text()).plan, load(f"# a comment\n{flow}").plan) == ()


@settings(max_examples=60, deadline=None)
@given(st.sets(st.sampled_from(sorted(set(CASES) - {"kind of act"})), max_size=4), st.randoms())
def test_what_one_way_adds_the_other_removes(names: set[str], random: Any) -> None:
    """Backwards, each change is told with before and after exchanged; nothing shows a secret."""
    before, after = rich_document(), rich_document()
    chosen = sorted(names)
    random.shuffle(chosen)
    for name in chosen:
        trial = copy.deepcopy(after)
        try:
            CASES[name][0](trial)
            plan_of(trial)
        except (LookupError, PlanError):  # Two changes may not fit together.
            continue
        after = trial
    old, new = plan_of(before), plan_of(after)
    forth, back = difference(old, new), difference(new, old)
    assert (forth == ()) == (old == new)
    opposite = {ChangeKind.ADDED: ChangeKind.REMOVED, ChangeKind.REMOVED: ChangeKind.ADDED}
    settled = [
        {
            (opposite.get(c.kind, c.kind) if turn else c.kind, c.where, c.subject)
            for c in changes
            if c.kind is not ChangeKind.MOVED
        }
        for turn, changes in ((False, forth), (True, back))
    ]
    assert settled[0] == settled[1]
    assert not any(secret in str(change) for change in forth for secret in SECRETS)
