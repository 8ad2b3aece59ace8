"""What a line with a familiar name means: another command line of the program, or an act here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from processpilot.errors import UsageError
from processpilot.familiar.arguments import Arguments, malformed, read_arguments
from processpilot.familiar.names import Name
from processpilot.familiar.scenarios import DATABASE, meant_scenario
from processpilot.plan.model import Plan
from processpilot.repository.blob import BackupId

STAGING = "staging"
PRODUCTION = "production"
_OURS = ("postgresql", "postgres", "auto")


@dataclass(frozen=True, slots=True)
class OtherCommand:
    """Another command line of the program; `asks` where a person is asked before it begins."""

    words: tuple[str, ...]
    asks: bool = False
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class ListStock:
    """List the backups and the window of recovery."""


@dataclass(frozen=True, slots=True)
class Dump:
    """A file of another tool was named, which cannot be restored here."""

    path: str


@dataclass(frozen=True, slots=True)
class Stage:
    """Restore into the staging folder and prove it; `backup` None lets the target choose."""

    backup: BackupId | None
    to_time: str | None


@dataclass(frozen=True, slots=True)
class AskStaged:
    """Read all data of the newest copy in the staging folder."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask what the name stands for."""

    name: Name


@dataclass(frozen=True, slots=True)
class Restart:
    """Restart everything that is not the database."""


@dataclass(frozen=True, slots=True)
class Migrate:
    """Let the releases in place migrate their data."""


Meaning = OtherCommand | ListStock | Dump | Stage | AskStaged | Ask | Restart | Migrate


def meaning_of(name: Name, given: Sequence[str], plan: Plan) -> Meaning:
    """Return what the line means; UsageError or NotFoundError when it means nothing here."""
    reader = _READERS.get(name)
    if reader is not None:
        return reader(given, plan)
    read_arguments(name, given)
    return _PLAIN.get(name) or Ask(name)


def _backup(given: Sequence[str], _plan: Plan) -> Meaning:
    found = read_arguments(Name.BACKUP, given, most=1, flags=("--list",), options=("--type",))
    lists = "--list" in found.flags
    if not found.words and not lists:
        raise malformed(Name.BACKUP, "the provider is missing")
    for provider in found.words:
        _require_ours(Name.BACKUP, provider)
    kind = found.options.get("--type")
    if lists:
        if kind is not None:
            raise malformed(Name.BACKUP, "--type says nothing about a list")
        return ListStock()
    if kind not in (None, "full"):
        raise UsageError(
            f"{Name.BACKUP}: there is no {kind} backup; every one is complete",
            hint="Leave --type out: what did not change is not stored again.",
        )
    remark = "every backup is complete, and stores only what changed"
    return OtherCommand(("backup", "create"), remark=remark)


def _restore(given: Sequence[str], plan: Plan) -> Meaning:
    options = ("--target", "--to-time")
    flags = ("--list", "--dry-run")
    found = read_arguments(Name.RESTORE, given, most=2, flags=flags, options=options)
    if not found.words:
        raise malformed(Name.RESTORE, "the provider is missing")
    _require_ours(Name.RESTORE, found.words[0])
    if "--list" in found.flags:
        if len(found.words) > 1 or found.options or "--dry-run" in found.flags:
            raise malformed(Name.RESTORE, "--list goes alone")
        return ListStock()
    if len(found.words) < 2:
        raise malformed(Name.RESTORE, "what to restore is missing")
    what = found.words[1]
    if "/" in what or "." in what:
        return Dump(what)
    backup = None if what == "latest" else BackupId.parse(what)
    target = found.options.get("--target")
    if target is None:
        return _recovery(found, backup, plan)
    return _restore_beside(found, backup, target)


def _recovery(found: Arguments, backup: BackupId | None, plan: Plan) -> Meaning:
    if "--to-time" in found.options:
        raise malformed(
            Name.RESTORE, "production is recovered to the end of its log; --to-time needs --target"
        )
    chosen = () if backup is None else ("--backup", str(backup))
    remark = "production is not overwritten: it restores beside, proves, then swaps"
    return _recover(meant_scenario(plan, DATABASE).id, found, *chosen, remark=remark)


def _restore_beside(found: Arguments, backup: BackupId | None, target: str) -> Meaning:
    moment = found.options.get("--to-time")
    if target == STAGING:
        if "--dry-run" in found.flags:
            raise malformed(Name.RESTORE, "--dry-run is for production or --target DIR")
        return Stage(backup, moment)
    words = ["restore", "latest" if backup is None else str(backup), "--target", target]
    words += [] if moment is None else ["--to-time", moment]
    return OtherCommand((*words, *_dry(found)))


def _disaster(given: Sequence[str], plan: Plan) -> Meaning:
    options = ("--scenario",)
    found = read_arguments(Name.DISASTER, given, flags=("--dry-run",), options=options)
    if "--scenario" not in found.options:
        raise malformed(Name.DISASTER, "--scenario is missing")
    return _recover(meant_scenario(plan, found.options["--scenario"]).id, found)


def _emergency(given: Sequence[str], plan: Plan) -> Meaning:
    found = read_arguments(Name.EMERGENCY, given, most=1, flags=("--dry-run",))
    if found.words not in {("database",), ("application",), ("complete",)}:
        raise malformed(Name.EMERGENCY, "say what is lost")
    return _recover(meant_scenario(plan, f"{found.words[0]}-failure").id, found)


def _data(given: Sequence[str], _plan: Plan) -> Meaning:
    found = read_arguments(Name.DATA, given, options=("--env",))
    where = found.options.get("--env", PRODUCTION)
    if where not in (PRODUCTION, STAGING):
        raise malformed(Name.DATA, f"{where} is no place we know")
    return AskStaged() if where == STAGING else Ask(Name.DATA)


def _recover(
    scenario: str, found: Arguments, *more: str, remark: str | None = None
) -> OtherCommand:
    return OtherCommand(("recover", scenario, *more, *_dry(found)), asks=True, remark=remark)


def _dry(found: Arguments) -> tuple[str, ...]:
    return ("--dry-run",) if "--dry-run" in found.flags else ()


def _require_ours(name: Name, provider: str) -> None:
    if provider not in _OURS:
        raise UsageError(
            f"{name}: {provider} is not recovered by us yet; we know: {', '.join(_OURS)}",
            hint="Use the provider's own commands.",
        )


_READERS: Mapping[Name, Callable[[Sequence[str], Plan], Meaning]] = {
    Name.BACKUP: _backup,
    Name.RESTORE: _restore,
    Name.DISASTER: _disaster,
    Name.EMERGENCY: _emergency,
    Name.DATA: _data,
}
_PLAIN: Mapping[Name, Meaning] = {Name.RESTART: Restart(), Name.MIGRATE: Migrate()}
