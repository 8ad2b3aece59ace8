"""From what a runbook tells people to type to what ProcessPilot does by itself: one table.

A row has a pattern over the command without `sudo` and `npm run`, what it becomes, and the reason
that people are shown. A row may decline; the next one is tried then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from processpilot.prose.addresses import check_of
from processpilot.prose.draft import Claim, Fate
from processpilot.prose.known import Known
from processpilot.prose.stepdraft import StepDraft

Act = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a command stands: in a scenario that rebuilds the database, in a drill, in neither.

    `rebuild` is the id of the scenario that rebuilds, for short procedures elsewhere.
    """

    known: Known
    rebuilds: bool = False
    about: str | None = None
    rebuild: str | None = None
    drill: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `drills` says whether it holds in a drill as well."""

    pattern: re.Pattern[str]
    turn: Callable[[re.Match[str], Scene, StepDraft], Act | None]
    reason: str
    drills: bool = False


def mapped(step: StepDraft, scene: Scene) -> StepDraft:
    """Return the step as a built-in action where the table has one for its command or words."""
    if step.command is not None:
        typed, rows = plain_command(step.command.text), COMMANDS
    elif step.action == "manual":
        typed, rows = str(step.act.get("instruction", "")), WORDS
    else:
        return step
    for row in rows:
        found = row.pattern.search(typed)
        if found is None or (scene.drill and not row.drills):
            continue
        if step.command is not None and not does_one_thing(typed, restores=row.turn is _restore):
            continue
        act = row.turn(found, scene, step)
        if act is not None:
            return _become(step, act, row.reason)
    return step


def restores_database(step: StepDraft) -> bool:
    """Say whether the step restores the database: by its command, or, for people, in words."""
    if step.command is not None:
        typed = plain_command(step.command.text)
        return RESTORES.search(typed) is not None and does_one_thing(typed, restores=True)
    words = str(step.act.get("instruction", ""))
    return step.action == "manual" and RESTORES_IN_WORDS.search(words) is not None


_FILTERS = (
    r"\|\s*(?:tail|head|grep|jq|wc|sort|uniq|less|cat|awk|python3? -m json\.tool)\b[^|;&<>`\n]*"
)


def does_one_thing(typed: str, *, restores: bool = False) -> bool:
    """Say whether a line is one command, perhaps with its output filtered.

    A chain may do more than the built-in action that its beginning stands for. A restore may read
    its dump from a pipe, a file or a substitution.
    """
    text = re.sub(r"'[^']*'|\"[^\"$`]*\"", "''", typed)
    if restores:
        return re.search(r"&&|\|\||;|&\s*$|>|\n", re.sub(r"\$\([^()]*\)", "", text)) is None
    return re.search(r"[|;&<>`\n]|\$\(", re.sub(_FILTERS, "", text)) is None


def plain_command(text: str) -> str:
    """Return what is typed without `sudo`, `npm run` and the like in front of it."""
    text = text.strip()
    text = re.sub(r"^(?:sudo\s+(?:-u\s*\S+\s+)?|doas\s+)", "", text)
    return re.sub(r"^(?:npm|pnpm|yarn)\s+(?:run(?:-script)?\s+)?(?=[\w-]+[:-])", "", text)


def _become(step: StepDraft, act: Act, reason: str) -> StepDraft:
    became = f"{describe(act)}: {reason}"
    claims = []
    for claim in step.claims:
        own = step.command.lines if step.command else (claim.line,)
        if claim.line in own:
            claims.append(Claim(claim.line, Fate.MAPPED, became))
        else:
            claims.append(Claim(claim.line, Fate.UNDERSTOOD, claim.became))
    return replace(step, act=act, claims=tuple(claims), remarks=())


_PART_OF_RELEASE = re.compile(
    r"^(?:npm|yarn|pnpm)\s+(?:ci|install|run\s+build|build)$|^(?:pip|bundle|composer)\s+install\b|"
    r"^make\s+(?:build|install)$"
)


def with_whole_releases(steps: Sequence[StepDraft]) -> tuple[StepDraft, ...]:
    """Return steps of which a rollback takes over the install, build and restart after it."""
    kept: list[StepDraft] = []
    for inner in steps:
        last = kept[-1] if kept else None
        if last is not None and last.act.get("do") == "rollback" and _belongs(inner, last):
            became = f"{describe(last.act)}: installing, building and restarting are part of it"
            claims = (Claim(c.line, Fate.MAPPED, became) for c in inner.claims)
            kept[-1] = replace(last, claims=(*last.claims, *claims))
        else:
            kept.append(replace(inner, steps=with_whole_releases(inner.steps)))
    return tuple(kept)


def _belongs(step: StepDraft, release: StepDraft) -> bool:
    if step.action == "service":
        same = step.act.get("component") == release.act.get("component")
        return same and step.act.get("do") == "restart"
    if step.action == "release":
        return step.act.get("do") == "migrate"
    text = plain_command(step.command.text) if step.command else ""
    return _PART_OF_RELEASE.search(text) is not None


def describe(act: Act) -> str:
    """Return an act in a few words: restore, service restart of api, check of an address."""
    match act.get("action"):
        case "service" | "release":
            return f"{act['action']} {act['do']} of {act['component']}"
        case "check":
            return "check of an address"
        case "runbook":
            return f"the steps of {act['scenario']}"
        case action:
            return str(action)


def _just(action: str) -> Callable[[re.Match[str], Scene, StepDraft], Act | None]:
    return lambda found, scene, step: {"action": action}


def _while_rebuilding(action: str) -> Callable[[re.Match[str], Scene, StepDraft], Act | None]:
    return lambda found, scene, step: {"action": action} if scene.rebuilds else None


def _restore(found: re.Match[str], scene: Scene, step: StepDraft) -> Act | None:
    text = step.command.text if step.command else str(step.act.get("instruction"))
    if re.search(
        r"\bstaging\b|--target[= ]|point.in.time|\bPITR\b|\btest\b|\bdrill\b", text, re.IGNORECASE
    ):
        return None
    if scene.rebuilds:
        return {"action": "restore"}
    newest = re.search(r"\b(?:auto|latest|newest)\b|ls -t", text)
    if scene.rebuild is not None and newest and step.command is not None:
        return {"action": "runbook", "scenario": scene.rebuild}
    return None


def _migrate(found: re.Match[str], scene: Scene, step: StepDraft) -> Act | None:
    able = [part for part in scene.known.parts if part.has_release]
    first = next((part for part in able if part.id == "api"), able[0] if able else None)
    return {"action": "release", "component": first.id, "do": "migrate"} if first else None


def _rollback(found: re.Match[str], scene: Scene, step: StepDraft) -> Act | None:
    part = scene.known.part(scene.about or "")
    if part is None or not part.has_release:
        return None
    return {"action": "release", "component": part.id, "do": "rollback"}


def _service(found: re.Match[str], scene: Scene, step: StepDraft) -> Act | None:
    part = scene.known.service(found["unit"])
    database = scene.known.database
    if part is None or (scene.rebuilds and part.id == database):
        return None
    return {"action": "service", "component": part.id, "do": found["do"]}


def _applications(found: re.Match[str], scene: Scene, step: StepDraft) -> Act | None:
    if scene.rebuilds:
        return {"action": "start-applications"}
    part = scene.known.part(scene.about or "")
    if part is None or not part.has_service or part.id == scene.known.database:
        return None
    return {"action": "service", "component": part.id, "do": "restart"}


RESTORES = re.compile(
    r"^(?:\S*/)?(?:restore(?:[-_](?:db|database|postgres\w*|backup))?\.sh\b(?!.*--list)|pg_restore\b"
    r"(?!.*(?:-l\b|--list))|pgbackrest\b.*\brestore\b|barman\s+recover\b|wal-g\s+backup-fetch\b|"
    r"walg?\s+backup-fetch\b|db:restore\b)|\bpsql\b.*<\s*\S+\.(?:sql|dump)|"
    r"\.(?:sql|dump)(?:\.gz)?\s*\|\s*(?:pg_restore|psql)\b",
)
RESTORES_IN_WORDS = re.compile(
    r"^\W*(?:restore|recover)\b.{0,40}\b(?:back-?up|dump|snapshot|base backup|database)\b|"
    r"\b(?:backup|sicherung|dump)\b.{0,40}\b(?:einspielen|zurückspielen|wiederherstellen)\b|"
    r"\bdatenbank\b.{0,40}\bwiederherstellen\b",
    re.IGNORECASE,
)
_POSTGRES_UNIT = r"(?:postgres(?:ql)?(?:[@-][\w-]+)?(?:\.service)?)"

COMMANDS: Sequence[Row] = (
    Row(
        re.compile(r"^(?:db:health-?check|db:status|pg_isready)\b"),
        _just("database-health"),
        "asks the database whether it answers",
        drills=True,
    ),
    Row(
        re.compile(
            r"^(?:\S*/)?(?:backup|restore)[\w-]*\.sh\b.*--list\b|^ls\b.*(?:backup|dump|wal)|"
            r"^pgbackrest\b.*\binfo\b|^barman\s+list-backups?\b|^wal-g\s+backup-list\b|"
            r"^find\b.*backup(?!.*(?:-delete|-exec))"
        ),
        _just("list-backups"),
        "reads which backups there are",
        drills=True,
    ),
    Row(RESTORES, _restore, "restores beside, replays, proves and only then swaps"),
    Row(
        re.compile(
            rf"^(?:systemctl\s+stop\s+{_POSTGRES_UNIT}$|service\s+postgres\S*\s+stop$|"
            r"pg_ctl(?:cluster)?\b.*\bstop\b)"
        ),
        _while_rebuilding("fence"),
        "the old server is proven dead and kept from starting",
    ),
    Row(
        re.compile(
            r"^(?:dropdb|createdb)\b|^(?:rm\s+-\w+|mv|mkdir)\b.*(?:postgres|pgdata|/pg/)|"
            r"^psql\b.*(?:drop|create)\s+database",
            re.IGNORECASE,
        ),
        _while_rebuilding("swap"),
        "nothing is removed: the old folder is kept beside and the recovered one takes its place",
    ),
    Row(
        re.compile(
            rf"^(?:systemctl\s+(?:re)?start\s+{_POSTGRES_UNIT}$|service\s+postgres\S*\s+(?:re)?"
            r"start$|pg_ctl(?:cluster)?\b.*\bstart\b)"
        ),
        _while_rebuilding("start-database"),
        "starts the recovered database",
    ),
    Row(
        re.compile(r"^(?:db:(?:verify-integrity|integrity-check|verify)|pg_amcheck)\b"),
        _just("verify-data"),
        "reads every table and index and checks it",
    ),
    Row(
        re.compile(
            r"^(?:db:migrate|alembic\s+upgrade|(?:python3?\s+)?(?:\./)?manage\.py\s+migrate|"
            r"(?:bundle\s+exec\s+)?(?:rake|rails)\s+db:migrate|php\s+artisan\s+migrate)\b"
        ),
        _migrate,
        "the component's release knows how it migrates",
    ),
    Row(
        re.compile(r"^git\s+(?:checkout|reset\s+--hard)\s+(?:HEAD~\d|HEAD\^|v?\d+\.\d+|<)"),
        _rollback,
        "puts the component's previous release in place: install, build, migrate, restart",
    ),
    Row(
        re.compile(r"^systemctl\s+(?P<do>start|stop|restart|status)\s+(?P<unit>[\w@.-]+)$"),
        _service,
        "the plan knows what runs the component",
    ),
    Row(
        re.compile(r"^(?:service)\s+(?P<unit>[\w@.-]+)\s+(?P<do>start|stop|restart|status)$"),
        _service,
        "the plan knows what runs the component",
    ),
    Row(
        re.compile(
            r"^(?:pm2|supervisorctl)\s+(?P<do>start|stop|restart|status)\s+(?P<unit>[\w.-]+)$"
        ),
        _service,
        "the plan knows what runs the component",
    ),
    Row(
        re.compile(r"^restart-(?:production|app|backend|all)\b"),
        _applications,
        "starts what depends on the database, in order",
    ),
    Row(
        re.compile(r"^curl\s.*$"),
        lambda found, scene, step: check_of(found[0]),
        "asks the address and compares the status",
        drills=True,
    ),
    Row(
        re.compile(r"^(?:test:smoke|(?:\S*/)?(?:smoke-?tests?|verify-recovery)(?:\.sh)?)(?:\s|$)"),
        _just("validate"),
        "goes through the plan's own checks after a recovery",
    ),
    Row(
        re.compile(r"^(?:\S*/)?backup\.sh\b(?!.*--list)|^pgbackrest\b.*\bbackup\b"),
        _while_rebuilding("backup"),
        "takes the first base backup of the recovered server",
    ),
)

WORDS: Sequence[Row] = (
    Row(RESTORES_IN_WORDS, _restore, "restores beside, replays, proves and only then swaps"),
    Row(
        re.compile(
            r"^\W*(?:re)?start\b.{0,20}\b(?:all |the )?(?:back-?end|application|app)s?\b.{0,20}$",
            re.IGNORECASE,
        ),
        _applications,
        "starts what depends on the database, in order",
    ),
    Row(
        re.compile(
            r"^\W*(?:take|create|start)\b.{0,30}\b(?:full |fresh |new |base )+backup\b", re.I
        ),
        _while_rebuilding("backup"),
        "takes the first base backup of the recovered server",
    ),
)
