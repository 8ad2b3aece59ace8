"""A scenario that recovers the database: the document's restore becomes the whole sequence.

By construction nothing is swapped before it is proven, nothing comes twice, and whatever the
document tells people to do by hand (stop, drop, start) is where the sequence does it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from processpilot.plan.act import ActionName
from processpilot.prose.draft import Claim, Remark, Tone
from processpilot.prose.stepdraft import StepDraft, every_draft

SEQUENCE = (
    ActionName.ASSESS, ActionName.DRAIN, ActionName.RESTORE, ActionName.REPLAY, ActionName.PROVE,
    ActionName.FENCE, ActionName.SWAP, ActionName.START_DATABASE, ActionName.PROTECT,
)  # fmt: skip
_TITLES = {
    ActionName.ASSESS: "Assess what is left and what can be recovered",
    ActionName.DRAIN: "Store the last log received",
    ActionName.RESTORE: "Restore the backup beside",
    ActionName.REPLAY: "Replay the log and compare",
    ActionName.PROVE: "Examine the recovered data",
    ActionName.FENCE: "Fence the old server",
    ActionName.SWAP: "Swap the recovered cluster in",
    ActionName.START_DATABASE: "Start the database",
    ActionName.PROTECT: "Protect the recovered database",
    ActionName.BACKUP: "Take the first backup",
}
_ASSESSING = re.compile(r"\b(?:assess|evaluat|bewert|diagnos|inspect|triage|analy)", re.IGNORECASE)
# What may not come before the sequence ends, and moves behind it where the document has it earlier.
_AFTERWARDS = (ActionName.BACKUP,)
_KEEP = "stays where it was put"


def arranged(steps: Sequence[StepDraft], approver: str | None) -> tuple[StepDraft, ...]:
    """Return the scenario's steps with the sequence where the document first restores.

    `approver` is the role that agrees before the old server is fenced, None where there is none.
    """
    taken = {action: [s for s in every_draft(steps) if s.action == action] for action in ActionName}
    sequence = [_member(action, taken[action]) for action in SEQUENCE]
    sequence = [_approved(s, approver) if s.action == ActionName.FENCE else s for s in sequence]
    way = _place_of_assess(steps)
    if way is not None:
        steps = _appended(steps, way, _early(taken[ActionName.ASSESS]))
        sequence = sequence[1:]
    placed = _put(steps, tuple(sequence))
    backup = _member(ActionName.BACKUP, taken[ActionName.BACKUP])
    return (*placed, backup)


def _early(found: Sequence[StepDraft]) -> StepDraft:
    """Return the assessment for a group of the document that assesses."""
    why = "assess: this group assesses, and the recovery needs to know what is left"
    return replace(_member(ActionName.ASSESS, found, why), condition=_KEEP)


def _member(action: ActionName, found: Sequence[StepDraft], why: str = "") -> StepDraft:
    """Return a step of the sequence, with everything the document says about it."""
    claims: list[Claim] = [claim for step in found for claim in step.claims]
    notes = tuple(note for step in found for note in step.notes)
    settings = {
        key: value
        for step in found
        for key, value in step.settings.items()
        if key in ("role", "brings_up")
    }
    if action in (ActionName.DRAIN, ActionName.PROTECT):
        settings["retries"] = 2
    said = why or f"{action}: not in the document; a recovery needs it"
    remarks = () if found else (Remark(Tone.ADDED, said),)
    kept = tuple(r for step in found for r in step.remarks if r.tone is not Tone.FILL_IN)
    timebox = next((step.timebox_s for step in found if step.timebox_s), None)
    return StepDraft(
        _TITLES[action], {"action": action.value}, claims=tuple(claims), notes=notes,
        remarks=(*remarks, *kept), settings=settings, timebox_s=timebox, name=action.value,
    )  # fmt: skip


def _approved(step: StepDraft, approver: str | None) -> StepDraft:
    return step.having(approval=approver) if approver else step


def _place_of_assess(steps: Sequence[StepDraft]) -> tuple[int, ...] | None:
    """Return the way to a group that assesses and is over before the restore, or None.

    One that reads the backups is preferred to one that only says so.
    """
    best: tuple[int, ...] | None = None
    for path, step in _ways(steps, ()):
        if step.action == ActionName.RESTORE:
            break
        if not step.is_group or any(s.action == ActionName.RESTORE for s in every_draft([step])):
            continue
        inner = [s.action for s in step.steps]
        if ActionName.LIST_BACKUPS in inner:
            return path
        commanded = any(a not in ("manual", "sequence") for a in inner)
        if best is None and commanded and _ASSESSING.search(step.title):
            best = path
    return best


def _ways(
    steps: Sequence[StepDraft], before: tuple[int, ...]
) -> Sequence[tuple[tuple[int, ...], StepDraft]]:
    found: list[tuple[tuple[int, ...], StepDraft]] = []
    for n, step in enumerate(steps):
        found.append(((*before, n), step))
        found += _ways(step.steps, (*before, n))
    return found


def _appended(
    steps: Sequence[StepDraft], way: tuple[int, ...], last: StepDraft
) -> tuple[StepDraft, ...]:
    """Return the steps with one more at the end of the group that `way` leads to."""
    n, rest = way[0], way[1:]
    step = steps[n]
    inner = _appended(step.steps, rest, last) if rest else (*step.steps, last)
    return (*steps[:n], replace(step, steps=inner), *steps[n + 1 :])


def _put(steps: Sequence[StepDraft], sequence: tuple[StepDraft, ...]) -> tuple[StepDraft, ...]:
    """Return the steps with the sequence for the first restore and without its parts elsewhere.

    A group that is left empty hands its time box and its lines to the sequence's first step.
    """
    members = {*SEQUENCE, *_AFTERWARDS} - {ActionName.ASSESS}
    emptied: list[StepDraft] = []
    done = False

    def clean(some: Sequence[StepDraft]) -> tuple[StepDraft, ...]:
        nonlocal done
        kept: list[StepDraft] = []
        for step in some:
            if step.action == ActionName.RESTORE and not done:
                done = True
                kept += sequence
            elif step.action == ActionName.ASSESS and step.condition == _KEEP:
                kept.append(replace(step, condition=""))
            elif step.action == ActionName.ASSESS or step.action in members:
                continue
            elif step.is_group:
                inner = clean(step.steps)
                if inner:
                    kept.append(replace(step, steps=inner))
                else:
                    emptied.append(step)
            else:
                kept.append(step)
        return tuple(kept)

    placed = clean(steps)
    return _with_emptied(placed, sequence[0], emptied) if emptied else placed


def _with_emptied(
    steps: Sequence[StepDraft], first: StepDraft, emptied: Sequence[StepDraft]
) -> tuple[StepDraft, ...]:
    """Return the steps, the sequence's first one with the lines of groups that it made needless."""
    made = []
    for step in steps:
        if step is first:
            claims = tuple(claim for group in emptied for claim in group.claims)
            told = ", ".join(f'"{group.title}"' for group in emptied)
            step = replace(step, claims=(*step.claims, *claims))
            step = step.remarked(Tone.NOTE, f"what {told} did by hand is part of this sequence")
        elif step.is_group:
            step = replace(step, steps=_with_emptied(step.steps, first, emptied))
        made.append(step)
    return tuple(made)
