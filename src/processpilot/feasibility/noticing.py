"""Noticing and rehearsing: symptoms that a probe sees, what can be started, drills, checklist."""

from __future__ import annotations

from collections.abc import Iterator

from processpilot.feasibility.figures import number
from processpilot.feasibility.finding import Remark
from processpilot.feasibility.objectives import affected
from processpilot.feasibility.study import Study

_DAY_S = 86400.0
# What `validate` checks by itself, by the names that a checklist uses.
_BUILT_IN_PROOFS = frozenset({"streaming", "heartbeat", "speed", "backup", "prove"})


def remarks(study: Study) -> Iterator[Remark]:
    """Yield what would go unnoticed, cannot be started, or was never tried."""
    yield from _symptoms(study)
    yield from _components(study)
    yield from _drills(study)
    yield from _checklist(study)


def _symptoms(study: Study) -> Iterator[Remark]:
    for n, scenario in enumerate(study.plan.scenarios):
        if not scenario.probes:
            yield Remark(
                "symptom-unseen",
                f"scenarios[{n}].symptoms",
                f"no probe sees {scenario.id}: it begins only when a person begins it",
                f"0 of {len(scenario.symptoms)} symptoms name a probe",
                "Name a probe for at least one symptom: {probe: component.probe, means: ...}.",
            )


def _components(study: Study) -> Iterator[Remark]:
    plan = study.plan
    down = {c.id: s.id for s in reversed(plan.scenarios) for c in affected(plan, s)}
    for n, component in enumerate(plan.components):
        if not component.probes:
            yield Remark(
                "component-without-probe",
                f"components[{n}]",
                f"nothing can tell whether {component.id} works",
                "0 probes: its objective can be neither missed nor held, only unknown",
                "Give it a probe.",
            )
        if component.service is None and component.id in down:
            yield Remark(
                "component-without-service",
                f"components[{n}]",
                f"nothing can start {component.id}, which {down[component.id]} takes down",
                "no service: a person has to start it",
                "Give it a service: systemd, supervisord, pm2 or two commands.",
            )


def _drills(study: Study) -> Iterator[Remark]:
    plan, now = study.plan, study.world.now
    if not plan.drills:
        yield Remark(
            "no-drill",
            "",
            "no drill shows that this plan works",
            f"0 drills, {len(plan.scenarios)} scenarios",
            "Add one to drills, at least for the scenario that would hurt most.",
        )
    for n, drill in enumerate(plan.drills):
        last = study.world.drills.get(drill.id)
        if last is None:
            yield Remark(
                "drill-never-ran",
                f"drills[{n}]",
                f"no finished run of the drill {drill.id} is known",
                f"0 runs, one is due every {number(drill.every_s, _DAY_S)} days",
                "Run it, and let its steps be measured.",
            )
        elif (age_s := (now - last).total_seconds()) > drill.every_s:
            yield Remark(
                "drill-lapsed",
                f"drills[{n}]",
                f"the drill {drill.id} is overdue",
                f"last finished {number(age_s, _DAY_S)} days ago, due every "
                f"{number(drill.every_s, _DAY_S)} days: "
                f"{number(age_s - drill.every_s, _DAY_S)} days late",
                "Run it.",
            )


def _checklist(study: Study) -> Iterator[Remark]:
    plan = study.plan
    known = _BUILT_IN_PROOFS | {check.name for check in plan.validation}
    known |= {f"{c.id}.{p.id}" for c in plan.components for p in c.probes}
    for n, item in enumerate(plan.checklist):
        if not item.by:
            yield Remark(
                "checklist-unproven",
                f"checklist[{n}]",
                f'nothing proves "{item.text}"',
                "by: nothing; only a person can tick it",
                "Name what proves it: a probe, a check of validation, or "
                f"{', '.join(sorted(_BUILT_IN_PROOFS))}.",
            )
        for m, name in enumerate(item.by):
            if name not in known:
                yield Remark(
                    "checklist-unknown-proof",
                    f"checklist[{n}].by[{m}]",
                    f'"{item.text}" is proven by "{name}", which is not there',
                    "neither a probe, nor a check of validation, nor a built-in one",
                    "Correct the name.",
                )
