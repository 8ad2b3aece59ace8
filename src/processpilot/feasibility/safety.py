"""Steps and what may go wrong with them: unproven, unaccepted, destructive and unasked."""

from __future__ import annotations

import re
from collections.abc import Iterator

from processpilot.feasibility.finding import Remark, Severity
from processpilot.feasibility.shell import SimpleCommand, commands_of
from processpilot.feasibility.study import Placed, Study
from processpilot.plan.acceptance import is_accepted
from processpilot.plan.act import ActionName
from processpilot.plan.step import (
    ApprovalStep,
    BuiltInStep,
    CommandStep,
    Group,
    HttpStep,
    ReleaseStep,
    SqlStep,
    Step,
    SubRunbook,
)

_READERS = re.compile(
    r"""(?x) ^(?: (?:ls|cat|tail|head|grep|ps|netstat|ss|journalctl|df|du)\b
    | (?:echo|date|cd|printf|test|id)\b
    | systemctl\ (?:--\S+\ )*(?:status|is-active|is-enabled|cat|show)\b
    | git\ (?:status|log|diff|tag)\b | pg_isready\b | pm2\ (?:ls|list|status)\b
    | curl\b(?!.*(?:\s-X|\s--request|\s-d|\s--data|\s-F|\s-o|\s-O|\s--output)) )"""
)
_SHELLS = re.compile(r"^(?:\S*/)?(?:ba|da|z|k)?sh$")
_OVER_DATA = "puts other data in the place of those there"
_CLIENTS = "supabase|neon|neonctl|pscale|railway"
_DESTROYERS = tuple(
    (re.compile(pattern), what)
    for pattern, what in (
        (r"^(?:rm|rmdir|shred|unlink)\b", "removes files"),
        (r"^(?:mkfs\S*|wipefs|dd|truncate)\b", "overwrites what is on a disk"),
        (r"^(?:dropdb|dropuser)\b", "drops it"),
        (r"(?i)\b(?:drop (?:table|database|schema|role)|truncate table|delete from)\b", "deletes"),
        (r"^(?:iptables|ip6tables|nft|ufw)\b", "changes the firewall"),
        (r"^(?:apt|apt-get|dnf|yum)\b.*\b(?:upgrade|remove|purge)\b", "changes packages"),
        (r"reset-credentials|revoke-all|rotate-(?:keys|credentials)", "makes credentials void"),
        (r"^git (?:checkout|reset --hard|clean|push --force)", "changes what is deployed"),
        (r"^(?:\S*/)?(?:pg_restore|restore\.sh)(?!\S)(?!.*--(?:list|target)\b)", _OVER_DATA),
        (r"^psql\b.*(?:-f|<|--file)", "runs a script on the database"),
        (rf"^(?:{_CLIENTS})\b.*\b(?:restore|reset|delete|promote)\b", _OVER_DATA),
        (r"^curl\b.*(?:-X|--request)[ =]?DELETE\b", "deletes"),
        (r"^kill(?:all)?\b|^pkill\b", "ends processes"),
        (r"manual-recovery", "changes data by hand"),
    )
)  # fmt: skip
_SQL_READS = re.compile(r"(?is)^\s*(?:--[^\n]*\n\s*)*(?:select|show|explain|table|values)\b")
_SQL_DESTROYS = re.compile(r"(?i)\b(?:drop|truncate|delete|alter|update)\b")


def remarks(study: Study) -> Iterator[Remark]:
    """Yield what is wrong with each step that acts."""
    for placed in study.steps:
        if isinstance(placed.step, Group | SubRunbook) or not placed.runs:
            continue
        yield from _unproven(placed)
        yield from _unaccepted(study, placed)
    yield from _unasked(study)


def _unproven(placed: Placed) -> Iterator[Remark]:
    step = placed.step
    match step:
        case CommandStep():
            commands = [c for c in commands_of(step.argv) if not _SHELLS.match(c.program)]
            only_reads = bool(commands) and all(_READERS.match(" ".join(c.words)) for c in commands)
        case HttpStep(method="POST"):
            only_reads = False
        case SqlStep():
            only_reads = _SQL_READS.match(step.query) is not None
        case _:
            return
    if step.probe is None:
        yield Remark(
            "step-without-probe",
            placed.place,
            f"{placed.owner}: step {step.id} has no probe",
            "it only reads: repeating it does no harm"
            if only_reads
            else "after a crash nothing tells whether it happened, and repeating may do harm",
            "Give it a probe: a condition that holds once it has happened.",
            Severity.NOTE if only_reads else None,
        )


def _unaccepted(study: Study, placed: Placed) -> Iterator[Remark]:
    step = placed.step
    if isinstance(step, CommandStep) and not is_accepted(study.plan, step):
        yield Remark(
            "command-not-accepted",
            placed.place,
            f"{placed.owner}: nobody has accepted {step.id}, from {step.origin}",
            "until then it is shown to a person instead of run",
            "Look at it, then run `processpilot plan accept`.",
        )


def _unasked(study: Study) -> Iterator[Remark]:
    for scenario in study.plan.scenarios:
        yield from _unasked_in(placed for placed in study.steps if placed.scenario is scenario)
    yield from _unasked_in(p for p in study.steps if p.scenario is None and p.runs)


def _unasked_in(steps: Iterator[Placed]) -> Iterator[Remark]:
    """Yield destructive steps; an approval step agrees to what follows, fence's to the swap too."""
    owner, agreed, fence_agreed = "", False, False
    for placed in steps:
        if placed.owner != owner:
            owner, agreed, fence_agreed = placed.owner, False, False
        step = placed.step
        agreed = agreed or isinstance(step, ApprovalStep)
        asked = getattr(step, "approval", None) is not None
        fence_agreed = fence_agreed or (step.action == ActionName.FENCE and asked)
        if asked or agreed or (step.action == ActionName.SWAP and fence_agreed):
            continue
        for what in destroys(step):
            yield Remark(
                "destructive-without-approval",
                placed.place,
                f"{placed.owner}: step {step.id} destroys something and nobody is asked",
                what,
                "Give it approval: ROLE, or put an approval step before it.",
            )
            break


def destroys(step: Step) -> Iterator[str]:
    """Yield why a step is destructive, with the words that say so."""
    match step:
        case BuiltInStep(action=ActionName.FENCE | ActionName.SWAP):
            yield f"{step.action} takes the old server out of service"
        case CommandStep():
            for command in commands_of(step.argv):
                yield from _destroying(command)
        case SqlStep() if found := _SQL_DESTROYS.search(step.query):
            yield f"the statement holds {found[0].lower()}"
        case ReleaseStep(do="rollback"):
            yield f"{step.component} goes back to its previous release"


def _destroying(command: SimpleCommand) -> Iterator[str]:
    words = " ".join(command.words)
    if _SHELLS.match(command.program):
        return
    for pattern, what in _DESTROYERS:
        if pattern.search(words):
            yield f"{words}: {what}"
            return
