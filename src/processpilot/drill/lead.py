"""Leading a drill from its first event to its verdict; one at a time on a machine.

Before it begins, whatever a killed drill left is found, ended and removed, and that drill gets the
verdict it has earned: nobody saw its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from processpilot.checks.result import Outcome
from processpilot.drill.facts import Facts
from processpilot.drill.history import (
    history,
    of_drill,
    open_rehearsals,
    read_rehearsal,
    recovery_times,
    slower_than_before,
)
from processpilot.drill.place import clear, left_places, place_of
from processpilot.drill.record import Ending, Record
from processpilot.drill.rehearsal import Ground, Rehearsing
from processpilot.drill.state import Rehearsal
from processpilot.drill.steps import playable
from processpilot.drill.verdict import CLEANUP, ISOLATION, Objective
from processpilot.errors import IntegrityError
from processpilot.journal.event import JsonValue
from processpilot.journal.journal import Journal
from processpilot.journal.lease import Lease
from processpilot.plan.model import Plan
from processpilot.plan.outside import Drill, DrillKind
from processpilot.repository.blob import BackupId
from processpilot.repository.proofs import Proof, ProofKind, remember
from processpilot.repository.repository import Repository
from processpilot.runbook.state import Verdict

DATABASE_FAILURE = "database-failure"


@dataclass(frozen=True, slots=True)
class DrillRequest:
    """Which drill is to be walked, by whose will, and what its verdict depends on."""

    rehearsal_id: str
    drill: Drill
    trigger: str
    by: str
    seed: int
    facts: Facts
    kept: Path


@dataclass(frozen=True, slots=True)
class OpenedWith:
    """The key that opened the repository, and the repository in which proofs are remembered.

    `remark` says why the key proves less than an escrowed one, None when it is one.
    """

    label: str
    remark: str | None
    proofs: Repository


def lead(
    ground: Ground,
    journal: Journal,
    lease: Lease,
    request: DrillRequest,
    key: OpenedWith,
) -> Rehearsal:
    """Walk a drill to its verdict and return it; RefusedError beforehand when it must not be."""
    plan = ground.loaded.plan
    steps = playable(plan, request.drill)
    sweep(journal, lease)
    record = Record(journal, lease, request.rehearsal_id)
    objective = objective_of(plan, request.drill)
    earlier = recovery_times(of_drill(history(journal), request.drill.id))
    record.begin({**begin_data(ground.loaded.hash, request, objective), "key": key.label})
    rehearsing = Rehearsing(
        ground, record, request.drill, steps, objective, request.seed, request.kept
    )
    if key.remark is not None:
        rehearsing.findings.append(key.remark)
    ending = rehearsing.run()
    findings = list(ending.findings)
    if ending.recovery_time_s is not None:
        slower = slower_than_before(ending.recovery_time_s, earlier)
        findings += [] if slower is None else [slower]
    if rehearsing.backup is not None and data_proven(rehearsing):
        proof = Proof(
            ProofKind.RECOVERED,
            ground.clock.now(),
            (BackupId.parse(rehearsing.backup),),
            f"drill/{request.rehearsal_id}",
        )
        unwritten = remember(key.proofs, proof, crc32(request.rehearsal_id.encode()))
        findings += [] if unwritten is None else [f"the proof was not written: {unwritten}"]
    record.finish(_with_findings(ending, findings))
    return read_rehearsal(journal, request.rehearsal_id)


def data_proven(rehearsing: Rehearsing) -> bool:
    """Whether every check of the data passed, so that the backup was really brought back.

    Objectives and the application say nothing about the backup.
    """
    about_data = [
        check
        for check in rehearsing.checks
        if not check.name.startswith((CLEANUP, ISOLATION, "step ", "application", "production: "))
    ]
    good = (Outcome.PASSED, Outcome.SKIPPED)
    return rehearsing.proven is not None and all(check.outcome in good for check in about_data)


def objective_of(plan: Plan, drill: Drill) -> Objective:
    """Return the objectives of the component that the drill recovers: the database's.

    That is the component of the drill's scenario, else of the scenario "database-failure", else
    the first of the plan.
    """
    for name in (drill.scenario, DATABASE_FAILURE):
        scenario = None if name is None else plan.scenario(name)
        if scenario is not None:
            component = plan.component(scenario.component)
            break
    else:
        component = plan.components[0]
    return Objective(component.id, component.rto_s, component.rpo_s)


def begin_data(plan_hash: str, request: DrillRequest, objective: Objective) -> dict[str, JsonValue]:
    """Return what the first event says."""
    drill = request.drill
    return {
        "drill": drill.id,
        "title": drill.title,
        "kind": str(drill.kind),
        "trigger": request.trigger,
        "by": request.by,
        "plan_hash": plan_hash,
        "facts": request.facts.to_json(),
        "seed": request.seed,
        "lifetime_s": drill.lifetime_s,
        "objective": {
            "component": objective.component,
            "rto_s": objective.rto_s,
            "rpo_s": objective.rpo_s,
        },
    }


def sweep(journal: Journal, lease: Lease) -> tuple[str, ...]:
    """End and remove what killed drills left; return the ids of those that get their verdict now.

    Whoever holds the lease is the only one who drills: every other drill that walks is dead.
    """
    left = {place.root: clear(place, None) for place in left_places()}
    ended = []
    for rehearsal_id in open_rehearsals(journal):
        try:
            state = read_rehearsal(journal, rehearsal_id)
        except IntegrityError:
            continue
        if state.kind is DrillKind.TABLETOP:
            continue
        checks = left.get(place_of(rehearsal_id).root, [])
        record = Record(journal, lease, rehearsal_id)
        record.checked(checks)
        reasons = [
            f"cleanup failed: {check.name.removeprefix(CLEANUP)}: {check.actual}"
            for check in checks
            if check.outcome is not Outcome.PASSED
        ]
        reasons.append("its process ended before the drill did; what it left was removed")
        record.finish(Ending(Verdict.FAILED, tuple(reasons)))
        ended.append(rehearsal_id)
    return tuple(ended)


def _with_findings(ending: Ending, findings: list[str]) -> Ending:
    return Ending(
        ending.verdict,
        ending.reasons,
        tuple(findings),
        ending.recovery_time_s,
        ending.data_loss_window_s,
        ending.data_loss_bound_s,
    )
