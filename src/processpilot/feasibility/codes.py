"""The codes of findings: how bad each usually is, and what it means.

docs/plan-check.md explains each with an example and ways out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from processpilot.feasibility.finding import Severity

_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of finding; one remark may be milder or worse than usual."""

    severity: Severity
    meaning: str


CODES: Mapping[str, Code] = {
    "objective-missed": Code(_E, "A component is back later than its objective allows."),
    "beyond-critical": Code(_E, "A scenario takes longer than every critical objective allows."),
    "no-slack": Code(_W, "The planned time uses up an objective to the last minute."),
    "little-slack": Code(_W, "Less than a tenth of an objective is left."),
    "objective-unproven": Code(_W, "Steps of unknown duration decide whether an objective holds."),
    "duration-unknown": Code(_W, "Nobody knows how long a step takes."),
    "timebox-exceeded": Code(_W, "The steps of a group take longer than its time box."),
    "timebox-too-short": Code(_W, "A step takes longer than its own time box."),
    "timebox-missing": Code(_N, "Nothing says when a step has taken too long."),
    "loss-bound": Code(_E, "The log stream may lose more than an objective allows."),
    "dump-cadence": Code(_E, "What is restored is a dump, and older than an objective allows."),
    "log-after-dump": Code(_E, "Log is to be replayed on top of a dump, which cannot be done."),
    "rests-on-log": Code(_N, "Without the log stream the backups alone miss an objective."),
    "rto-contradiction": Code(_E, "A component must be back before what it depends on."),
    "rpo-contradiction": Code(_E, "A component may lose less than what it depends on."),
    "two-roles": Code(_W, "One person fills two roles that are needed at once."),
    "own-deputy": Code(_W, "One person is primary and secondary of a role."),
    "no-deputy": Code(_W, "Nobody stands in for the primary of a role: one key holder."),
    "deputy-busy": Code(_N, "Who stands in for a role already fills another."),
    "role-unfilled": Code(_W, "Nobody fills a role."),
    "approval-by-nobody": Code(_E, "A step waits for the agreement of a role that nobody fills."),
    "called-before-woken": Code(_W, "A step needs a role before the escalation wakes it."),
    "never-woken": Code(_W, "No escalation level wakes a role that steps need."),
    "no-escalation": Code(_W, "The plan does not say who is woken when."),
    "level-wakes-nobody": Code(_E, "An escalation level names somebody who is not there."),
    "placeholder-contact": Code(_W, "A contact was never filled in."),
    "contact-missing": Code(_W, "Nothing says how somebody is reached."),
    "nobody-reachable": Code(_E, "Nobody can be reached at all."),
    "command-missing": Code(_E, "A program that steps run does not exist here."),
    "script-missing": Code(_E, "A package.json lacks a script that a step runs, or is not there."),
    "file-missing": Code(_W, "A file or folder that steps read does not exist here."),
    "service-missing": Code(_E, "A service unit does not exist here."),
    "host-unknown": Code(_E, "A host's name leads nowhere from here."),
    "vendor-command": Code(_E, "A provider's program does not do what the step expects."),
    "placeholder-in-command": Code(_E, "A command holds a word that somebody has to fill in."),
    "placeholder-left": Code(_E, "A setting was never filled in."),
    "step-without-probe": Code(_W, "After a crash only a person can tell whether a step happened."),
    "command-not-accepted": Code(_W, "No person has accepted a command that was imported."),
    "destructive-without-approval": Code(_W, "A step destroys something and nobody is asked."),
    "symptom-unseen": Code(_W, "No probe sees a scenario: it never begins by itself."),
    "component-without-probe": Code(_W, "Nothing can tell whether a component works."),
    "component-without-service": Code(_W, "Nothing can start a component."),
    "no-drill": Code(_W, "The plan has no drill: nothing shows that it works."),
    "drill-never-ran": Code(_W, "No finished run of a drill is known."),
    "drill-lapsed": Code(_W, "A drill is overdue; what it showed no longer counts."),
    "repository-on-database-disk": Code(_E, "The disk of the database takes its backups along."),
    "repository-beside-data": Code(_W, "Backups lie in the folder that holds the data."),
    "spool-on-database-disk": Code(_W, "The disk of the database takes received log along."),
    "state-on-database-disk": Code(_W, "The disk of the database takes the journal along."),
    "no-channel": Code(_W, "Messages go nowhere."),
    "one-channel": Code(_W, "Messages have a single way out."),
    "checklist-unproven": Code(_N, "Only a person can tick a line of the checklist."),
    "checklist-unknown-proof": Code(_W, "A line of the checklist names a proof that is not there."),
}
