"""The plan as text for a terminal, in lines of 80 columns.

A command that is longer goes on in the next line after a backslash, so that copying it still gives
the same command.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import pairwise

from processpilot.book.contacts import Reached, calls, filled_roles
from processpilot.book.steps import Entry, Remark, entries, step_count
from processpilot.plan.model import Plan
from processpilot.plan.scenario import Scenario
from processpilot.plan.step import Step
from processpilot.plan.wording import Line, LineKind, duration_words, loss_words, visible

WIDTH = 80
_CONTINUED = " \\"


def plan_lines(plan: Plan) -> Iterator[str]:
    """Yield the whole plan."""
    yield from _wrapped(plan.name, "")
    yield "=" * min(len(plan.name), WIDTH)
    for part in (_components(plan), _team(plan), _calls(plan)):
        yield from _spaced(part)
    for scenario in plan.scenarios:
        yield from _spaced(scenario_lines(plan, scenario))
    parts = [(f"Drill: {d.title}, every {duration_words(d.every_s)}", d.steps) for d in plan.drills]
    parts += [(f"Provider: {p.title}", p.steps) for p in plan.providers]
    parts += [(f"Procedure: {p.title}", p.steps) for p in plan.procedures]
    for title, steps in parts:
        yield from _spaced(_steps_below(plan, title, steps))
    for part in (_checklist(plan), _vendors(plan), _follow_ups(plan)):
        yield from _spaced(part)


def scenario_lines(plan: Plan, scenario: Scenario) -> Iterator[str]:
    """Yield one scenario."""
    found = entries(plan, scenario.steps)
    yield from _heading(f"Scenario {scenario.id}: {scenario.title}")
    component = plan.component(scenario.component)
    boxes = sum(step.timebox_s or 0 for step in scenario.steps)
    allowed = f", time boxes of {duration_words(boxes)}" if boxes else ""
    within = f"{component.title} must work again within {duration_words(component.rto_s)}"
    yield from _wrapped(f"{step_count(found)} steps{allowed}; {within}", "  ")
    yield "  Symptoms:"
    for symptom in scenario.symptoms:
        seen = "" if symptom.probe is None else f"{'passes' if symptom.passes else 'fails'}"
        probe = "" if symptom.probe is None else f"probe {symptom.probe} {seen}"
        required = " (required)" if symptom.required else ""
        said = ": ".join(part for part in (probe + required, symptom.means) if part)
        yield from _wrapped(f"- {said}", "    ", hang=2)
    yield ""
    yield from _entries(found, "  ")


def _components(plan: Plan) -> Iterator[str]:
    yield from _heading("Components, each after what it depends on")
    for component in plan.start_order():
        yield from _wrapped(f"{component.title} ({component.id}), {component.priority}", "  ")
        loss = loss_words(component.rpo_s)
        yield f"    recover in {duration_words(component.rto_s)}, lose {loss}"
        if component.depends_on:
            yield from _wrapped(f"needs {', '.join(component.depends_on)}", "    ")
        probes = ", ".join(probe.id for probe in component.probes)
        if probes:
            yield from _wrapped(f"watched by {probes}", "    ")


def _team(plan: Plan) -> Iterator[str]:
    if not plan.team.roles:
        return
    yield from _heading("Team")
    for role in filled_roles(plan):
        yield from _wrapped(role.title, "  ")
        for label, who in (("primary", role.primary), ("secondary", role.secondary)):
            yield from _wrapped(f"{label:<9}  {_who(who)}", "    ", hang=11)
        if role.shared:
            yield from _wrapped(f"{'reached':<9}  {', '.join(role.shared)}", "    ", hang=11)
        for duty in role.duties:
            yield from _wrapped(f"- {duty}", "    ", hang=2)


def _calls(plan: Plan) -> Iterator[str]:
    if not plan.team.escalation:
        return
    yield from _heading("Who is called when, while nobody has acknowledged")
    for call in calls(plan):
        title = f"  {call.title}" if call.title else ""
        begin = f"after {duration_words(call.after_s)}" if call.after_s else "at once"
        yield from _wrapped(f"{begin}{title}", "  ")
        for reason, who in call.people:
            yield from _wrapped(f"- {_who(who)} ({reason})", "    ", hang=2)


def _who(who: Reached | None) -> str:
    if who is None:
        return "nobody"
    return ", ".join((who.name, *who.ways))


def _steps_below(plan: Plan, title: str, steps: Sequence[Step]) -> Iterator[str]:
    yield from _heading(title)
    yield from _entries(entries(plan, steps), "  ")


def _entries(found: Sequence[Entry], indent: str) -> Iterator[str]:
    for entry in found:
        yield from _wrapped(f"{entry.number}. {entry.title}", indent, hang=len(entry.number) + 2)
        inner = indent + " " * (len(entry.number) + 2)
        facts = [f"{entry.id}: {entry.kind}"]
        if entry.timebox_s is not None:
            facts.append(f"at most {duration_words(entry.timebox_s)}")
        if entry.role is not None:
            facts.append(f"by {entry.role}")
        if entry.approval is not None:
            facts.append(f"{entry.approval} approves")
        yield from _wrapped(", ".join(facts), inner)
        for line in entry.lines:
            yield from _line(line, inner)
        for remark in entry.remarks:
            yield from _remark(remark, inner)
        yield from _entries(entry.children, inner)


def _remark(remark: Remark, indent: str) -> Iterator[str]:
    first, *rest = remark.lines
    if first.kind is not LineKind.WORDS:
        yield f"{indent}{remark.label}:"
        yield from _line(first, indent)
    else:
        yield from _wrapped(f"{remark.label}: {first.text}", indent)
    for line in rest:
        yield from _line(line, indent)


def _line(line: Line, indent: str) -> Iterator[str]:
    if line.kind is LineKind.WORDS:
        yield from _wrapped(line.text, indent)
    elif "\n" in line.text:
        # Indenting the later lines would change what stands between the quotes.
        first, *rest = visible(line.text).split("\n")
        yield f"{indent}  {first}"
        yield from rest
    else:
        mark = _CONTINUED if line.kind is LineKind.COMMAND else ""
        yield from _exact(visible(line.text), f"{indent}  ", mark)


def _exact(text: str, indent: str, mark: str) -> Iterator[str]:
    """Yield exact text in lines that end with `mark` where it goes on, broken outside quotes."""
    begin, own = 0, indent
    for gap, following in pairwise([*_gaps(text), len(text)]):
        if following - begin > WIDTH - len(own) - len(mark):
            yield f"{own}{text[begin:gap]}{mark}"
            begin, own = gap + 1, f"{indent}  "
    yield f"{own}{text[begin:]}"


def _gaps(text: str) -> Iterator[int]:
    """Yield where blanks stand that a shell takes as an end of a word."""
    quote, skip = "", False
    for n, letter in enumerate(text):
        if skip:
            skip = False
        elif letter == "\\" and quote != "'":
            skip = True
        elif quote:
            quote = "" if letter == quote[-1] else quote
        elif letter in "'\"":
            quote = "$'" if letter == "'" and text[n - 1 : n] == "$" else letter
        elif letter == " ":
            yield n


def _checklist(plan: Plan) -> Iterator[str]:
    if not plan.checklist:
        return
    yield from _heading("Checklist after a recovery")
    for item in plan.checklist:
        by = f" ({', '.join(item.by)})" if item.by else " (people say so)"
        yield from _wrapped(f"[ ] {item.text}{by}", "  ", hang=4)


def _vendors(plan: Plan) -> Iterator[str]:
    if not plan.vendors and not plan.support:
        return
    yield from _heading("Vendors")
    for vendor in plan.vendors:
        reached = ", ".join(way for way in (vendor.phone, vendor.email, vendor.chat) if way)
        note = f"; {vendor.note}" if vendor.note else ""
        yield from _wrapped(f"{vendor.title}: {reached or 'no contact'}{note}", "  ", hang=2)
    for level in plan.support:
        by = f", {level.by}" if level.by else ""
        yield from _wrapped(
            f"{level.severity}: answer in {duration_words(level.response_s)}{by}", "  "
        )


def _follow_ups(plan: Plan) -> Iterator[str]:
    if not plan.follow_ups:
        return
    yield from _heading("Afterwards")
    for follow_up in plan.follow_ups:
        begin, end = follow_up.begin_s, follow_up.end_s
        until = "" if end is None else f" to {duration_words(end)}"
        yield from _wrapped(f"{follow_up.title}, from {duration_words(begin)}{until}", "  ")
        for item in follow_up.items:
            yield from _wrapped(f"- {item}", "    ", hang=2)


def _spaced(lines: Iterator[str]) -> Iterator[str]:
    """Yield an empty line before what there is."""
    for n, line in enumerate(lines):
        if n == 0:
            yield ""
        yield line


def _heading(text: str) -> Iterator[str]:
    lines = list(_wrapped(text, ""))
    yield from lines
    yield "-" * max(map(len, lines))


def _wrapped(text: str, indent: str, *, hang: int = 0) -> Iterator[str]:
    """Yield words in lines of the width; those after the first are indented by `hang` more."""
    for part in visible(text).split("\n"):
        yield from textwrap.wrap(
            part,
            WIDTH,
            initial_indent=indent,
            subsequent_indent=indent + " " * hang,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
