"""What a document leaves to its readers: what works again after a step, who agrees, what may fail.

Everything here is a guess that a person can check; each is said as a remark at its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from processpilot.plan.act import ActionName
from processpilot.prose.draft import Tone
from processpilot.prose.known import Known, Part
from processpilot.prose.mapping import plain_command
from processpilot.prose.stepdraft import GROUP, StepDraft, changed, every_draft

_DESTROYS = re.compile(
    r"\brestore\b(?!.*--list)|\bpg_restore\b|\brecover\b|\bdrop(?:db)?\b|\btruncate\b|\bswap\b|"
    r"\bgit\s+(?:checkout|reset|revert)\b|\brollback\b|\brollout\s+undo\b|\biptables\b|\bufw\b|"
    r"\brm\s|\bmkfs|\bdd\s+if=|\breset-credentials\b|\brevoke|\bapt(?:-get)?\b.*\b(?:upgrade|"
    r"install|remove)\b|\bkubectl\s+(?:delete|scale|drain)\b|\bterraform\s+(?:destroy|apply)\b|"
    r"\bdeploy-request\b|\bbranch\s+reset\b|\bfailover\b|\bpromote\b|\breboot\b|\bshutdown\b|"
    r"\bpg_resetwal\b|\bflush(?:all|db)\b|\bdelete\s+from\b|--force\b|manual-recovery",
    re.IGNORECASE,
)
_LOOKS = re.compile(
    r"^(?:sh -c )?(?:systemctl\s+(?:status|is-active|list)|journalctl|tail|head|cat|less|ls|ps|ss|"
    r"netstat|df|du|free|top|uptime|curl|ping|dig|nslookup|grep|find|docker\s+(?:ps|logs)|"
    r"kubectl\s+(?:get|describe|logs)|psql\b.*select|pg_isready|db:(?:health|check|analy|integr)|"
    r"patronictl\s+list|pm2\s+(?:list|status|logs)|supervisorctl\s+status|git\s+(?:status|log)|"
    r"\S*status\b)",
    re.IGNORECASE,
)
_LOOKING = re.compile(
    r"\b(?:look|assess|verify the incident|confirm|diagnos|triage|identify|check|detect|immediate|"
    r"investigat|analy[sz]|prüf|feststell|bewert|first response|initial|what is (?:broken|wrong))",
    re.IGNORECASE,
)
_CHANGES = {
    ActionName.RESTORE, ActionName.START_DATABASE, ActionName.START_APPLICATIONS, ActionName.BACKUP,
    "service", "release",
}  # fmt: skip
_STARTS = re.compile(r"\b(?:re)?start\b|\bdeploy\b|\brollback\b|\bup -d\b", re.IGNORECASE)
REASON = "it only looks at the damage, which may well show here"


def completed(steps: Sequence[StepDraft], known: Known, about: str) -> tuple[StepDraft, ...]:
    """Return a scenario's steps with approvals, conditions, what may fail and what works again."""
    steps = changed(steps, lambda step: approved(step, known))
    steps = _forgiving(steps)
    steps = tuple(_conditional(step, known, about) for step in steps)
    steps = changed(steps, _patient)
    return _bringing_up(steps, known, about)


def approved(step: StepDraft, known: Known) -> StepDraft:
    """Return a step that destroys something with the approval of the role that decides."""
    if step.command is None or step.action not in ("command", "release"):
        return step
    if known.commander is None or not _DESTROYS.search(step.command.text):
        return step
    return step.having(approval=known.commander)


def _changes_something(step: StepDraft) -> bool:
    if step.action in _CHANGES and step.act.get("do") != "status":
        return True
    return step.command is not None and bool(_STARTS.search(step.command.text))


def _forgiving(steps: Sequence[StepDraft]) -> tuple[StepDraft, ...]:
    """Let the looking around before the first change go on when it finds damage."""
    changing = False

    def soften(some: Sequence[StepDraft], looking: bool) -> tuple[StepDraft, ...]:
        nonlocal changing
        made = []
        for step in some:
            changing = changing or _changes_something(step)
            if step.is_group:
                inside = looking or bool(_LOOKING.search(step.title))
                step = replace(step, steps=soften(step.steps, inside))
            elif looking and not changing and _only_looks(step):
                step = step.having(on_failure="go-on", reason=REASON)
            made.append(step)
        return tuple(made)

    return soften(steps, False)


def _only_looks(step: StepDraft) -> bool:
    if step.action in ("check", ActionName.DATABASE_HEALTH):
        return True
    if step.action == ActionName.LIST_BACKUPS:
        return False
    if step.action == "service":
        return step.act.get("do") == "status"
    return step.command is not None and bool(_LOOKS.match(plain_command(step.command.text)))


def _conditional(step: StepDraft, known: Known, about: str) -> StepDraft:
    """Return a step that is needed only sometimes: decided by a probe, or else by a person."""
    if step.is_group:
        inner = tuple(_conditional(s, known, about) for s in step.steps)
        step = replace(step, steps=inner)
    if not step.condition:
        return step
    words = step.condition
    probe = _probe_for(words, known, about)
    if probe is not None:
        only_if = {"kind": "probe", "probe": probe, "passes": False}
        tell = f'"{words}" is read as: while {probe} fails'
        step = changed([step], lambda s: s if s.is_group else s.having(only_if=only_if))[0]
        return replace(step, condition="").remarked(Tone.INFERRED, tell)
    ask: Mapping[str, object] = {"action": "manual", "instruction": f"Decide: {words}?"}
    question = StepDraft(f"Decide whether this is needed: {words}", ask)
    if known.commander:
        question = replace(question, act={"action": "approval"}).having(approval=known.commander)
    question = question.remarked(
        Tone.INFERRED, "no probe tells; where it is not needed, skip this and the steps beside it"
    )
    noted = replace(step, condition="", notes=(*step.notes, f"Condition: {words}"))
    if step.is_group:
        return replace(noted, steps=(question, *noted.steps))
    return StepDraft(step.title, GROUP, (question, noted), timebox_s=step.timebox_s)


def _probe_for(words: str, known: Known, about: str) -> str | None:
    """Return the probe whose failure the words speak of: what was tried before has not helped."""
    if not re.search(r"\b(?:fail|not help|still|unsuccessful|fehlschl|does ?n[o']t)", words, re.I):
        return None
    part = known.part(about)
    return part.probes[0].name if part and part.probes else None


def _patient(step: StepDraft) -> StepDraft:
    """Give the commands of a group as long as the group has, where that is more than usual."""
    if not step.is_group or not step.timebox_s or step.timebox_s <= 600:
        return step
    limit = f"{step.timebox_s / 60:.0f}m"
    return replace(
        step,
        steps=tuple(
            replace(s, act={**s.act, "timeout": limit})
            if s.action == "command" and "timeout" not in s.act and not _only_looks(s)
            else s
            for s in step.steps
        ),
    )


def _bringing_up(steps: Sequence[StepDraft], known: Known, about: str) -> tuple[StepDraft, ...]:
    """Return the steps with what works again after each: on the timed group if there is one."""
    part = known.part(about)
    made = tuple(_raised(step, known, part) for step in steps)
    brought = {name for s in every_draft(made) for name in _names(s)}
    if part is None or part.id in brought or not made:
        return made
    names = [part.id, *(n for n in known.needing(part.id) if n not in brought)]
    n = max((n for n, s in enumerate(made) if s.action != ActionName.BACKUP), default=len(made) - 1)
    tell = "the document does not say when it works again; taken to be when this is done"
    last = made[n].having(brings_up=names).remarked(Tone.INFERRED, f"brings up: {tell}")
    return (*made[:n], last, *made[n + 1 :])


def _names(step: StepDraft) -> Sequence[str]:
    found = step.settings.get("brings_up")
    return found if isinstance(found, list | tuple) else ()


def _raised(step: StepDraft, known: Known, about: Part | None) -> StepDraft:
    if not step.is_group:
        names = _brought(step, known, about)
        if not names or _names(step):
            return step
        return step.having(brings_up=names).remarked(Tone.INFERRED, "what works again after it")
    inner = tuple(_raised(s, known, about) for s in step.steps)
    if not step.timebox_s or any(s.is_group and s.timebox_s for s in inner):
        return replace(step, steps=inner)
    names = list(dict.fromkeys(n for s in every_draft(inner) for n in _names(s)))
    if not names:
        return replace(step, steps=inner)
    # The group has the time box, so that it is the group's end that counts.
    inner = changed(inner, _silenced)
    raised = replace(step, steps=inner).having(brings_up=names)
    return raised.remarked(Tone.INFERRED, "what works again once the group is done")


def _silenced(step: StepDraft) -> StepDraft:
    kept = {key: value for key, value in step.settings.items() if key != "brings_up"}
    remarks = tuple(r for r in step.remarks if not r.text.startswith("what works again"))
    return replace(step, settings=kept, remarks=remarks)


def _brought(step: StepDraft, known: Known, about: Part | None) -> list[str]:
    """Return what works again after one step."""
    database = known.database
    match step.action:
        case ActionName.START_DATABASE:
            return [database] if database else []
        case ActionName.START_APPLICATIONS:
            return list(known.needing(database)) if database else []
        case "service" if step.act.get("do") in ("start", "restart"):
            name = str(step.act["component"])
            return [name, *known.needing(name)]
        case "release" if step.act.get("do") != "migrate":
            name = str(step.act["component"])
            return [name, *known.needing(name)]
        case "command" if step.command is not None and about is not None:
            return _restarted(step.command.text, known, about)
    return []


def _restarted(text: str, known: Known, about: Part) -> list[str]:
    found = re.search(
        r"(?:systemctl|supervisorctl|pm2)\s+(?:re)?start\s+([\w@.-]+)|\brestart-(\w+)|"
        r"kubectl\s+rollout\s+(?:restart|undo)\s+(?:\w+[/ ])?([\w-]+)|"
        r"docker(?:-compose| compose)\s+(?:up|restart)\b",
        text,
    )
    if found is None:
        return []
    name = found[1] or found[2] or found[3] or ""
    part = known.named(name) or (about if not found[1] and not found[3] else None)
    if part is None or part.id == known.database != about.id:
        return []
    return [part.id, *known.needing(part.id)]
