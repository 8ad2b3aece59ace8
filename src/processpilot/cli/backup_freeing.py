"""What is let go of: `processpilot backup expire` and `prune`, each printing its plan first."""

from __future__ import annotations

from typing import Annotated

import typer

from processpilot.agent.backups import expire as carry_out_expiry
from processpilot.agent.backups import plan_expiry_now
from processpilot.agent.pruning import plan_prune_now
from processpilot.agent.pruning import prune as carry_out_prune
from processpilot.cli.frame import (
    DEFAULT_PLAN,
    JsonOption,
    PlanOption,
    YesOption,
    confirm,
    opened,
    out,
    print_json,
    progress_shown,
)
from processpilot.evidence.page import format_bytes
from processpilot.repository.expire import ExpirePlan
from processpilot.repository.prune import REWRITE_BELOW, PrunePlan


def expire(
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    yes: YesOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the operation plan only.")
    ] = False,
) -> None:
    """Let go of what the plan's retention no longer keeps."""
    with opened(plan, as_json=as_json) as wired:
        decided = plan_expiry_now(wired)
        if not as_json:
            _print_expiry(decided)
        if dry_run or decided.is_empty:
            if as_json:
                print_json(_expiry(decided) | {"executed": False})
            return
        confirm(f"Remove {len(decided.backups)} backups and what only they need?", yes=yes)
        done = carry_out_expiry(wired, decided)
    if as_json:
        print_json(_expiry(done) | {"executed": True})
    else:
        out(f"removed {len(done.backups)} backups, {len(done.packs)} packs")


def prune(
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    yes: YesOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the operation plan only.")
    ] = False,
) -> None:
    """Free storage: remove packs that no backup needs, rewrite those of which little is needed."""
    with opened(plan, as_json=as_json) as wired:
        decided = plan_prune_now(wired)
        if not as_json:
            _print_prune(decided)
        if dry_run or decided.is_empty:
            if as_json:
                print_json(_prune(decided) | {"executed": False})
            return
        confirm("Do that?", yes=yes)
        with progress_shown(as_json=as_json) as progress:
            freed = carry_out_prune(wired, decided, progress)
    if as_json:
        print_json(_prune(decided) | {"executed": True, "freed_bytes": freed})
    else:
        out(f"freed {format_bytes(freed)}")


def _print_prune(plan: PrunePlan) -> None:
    if plan.loose:
        size = format_bytes(sum(plan.loose.values()))
        out(f"remove   {len(plan.loose)} packs that no backup needs: {size}")
    if plan.rewrites:
        whole = format_bytes(sum(item.size_bytes for item in plan.rewrites))
        out(
            f"rewrite  {len(plan.rewrites)} packs of which less than {REWRITE_BELOW:.0%} is "
            f"needed: {whole}, of which {format_bytes(plan.copied_bytes)} stay"
        )
    if plan.notes:
        out(f"remove   {len(plan.notes)} notes of where rewritten packs went, no longer needed")
    for name, until in sorted(plan.locked.items(), key=lambda item: item[1]):
        out(f"locked   {name} may not be removed before {until:%Y-%m-%d %H:%M} UTC")
    if plan.is_empty:
        out("nothing to free")


def _prune(plan: PrunePlan) -> dict[str, object]:
    return {
        "remove": [{"pack": name, "bytes": size} for name, size in plan.loose.items()],
        "rewrite": [
            {
                "pack": item.pack.object_name,
                "bytes": item.size_bytes,
                "needed_bytes": item.needed_bytes,
            }
            for item in plan.rewrites
        ],
        "notes": list(plan.notes),
        "locked": [{"pack": name, "until": until} for name, until in plan.locked.items()],
        "freed_bytes": plan.freed_bytes,
    }


def _expiry(plan: ExpirePlan) -> dict[str, object]:
    return {
        "backups": [str(backup) for backup in plan.backups],
        "kept": [
            {"id": str(kept.backup), "reasons": list(kept.reasons)} for kept in plan.decision.kept
        ],
        "packs": len(plan.packs),
        "pack_bytes": plan.pack_bytes,
        "segments": len(plan.segments),
        "locked_packs": plan.locked_packs,
    }


def _print_expiry(plan: ExpirePlan) -> None:
    for kept in plan.decision.kept:
        out(f"keep    {kept.backup}  {', '.join(kept.reasons)}")
    for backup in plan.pinned:
        out(f"keep    {backup}  a running backup refers to it")
    for backup in plan.backups:
        out(f"remove  {backup}")
    if plan.locked_packs:
        out(f"{plan.locked_packs} packs more are locked by the store; prune removes them later")
    out(
        f"{len(plan.packs)} packs ({format_bytes(plan.pack_bytes)}) and {len(plan.segments)} "
        "segments are needed by nothing that is kept"
    )
