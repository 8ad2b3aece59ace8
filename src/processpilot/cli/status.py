"""`processpilot status`: objectives beside what was last measured; healthy or not."""

from __future__ import annotations

import typer

from processpilot.agent.overview import Overview, read_overview
from processpilot.cli.exits import NOT_WELL
from processpilot.cli.frame import DEFAULT_PLAN, JsonOption, PlanOption, opened, out, print_json
from processpilot.evidence.page import format_bytes, format_duration


def status(plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False) -> None:
    """Show how well the database is protected; status 1 when something needs attention."""
    with opened(plan, as_json=as_json) as wired:
        overview = read_overview(wired)
    if as_json:
        print_json(overview)
    else:
        _print(overview)
    if not overview.healthy:
        raise typer.Exit(NOT_WELL)


def _print(overview: Overview) -> None:
    out(f"{overview.name}: {'healthy' if overview.healthy else 'NEEDS ATTENTION'}")
    for problem in overview.problems:
        out(f"  - {problem}")
    out()
    pid = overview.agent_pid
    out(f"agent       {'does not run' if pid is None else f'runs (pid {pid})'}")
    stream = overview.stream
    if stream is not None:
        waits = ", commits wait for it" if stream["commits_wait"] else ""
        lsn = stream["stored_lsn"]
        stored = "nothing stored yet" if lsn is None else f"stored to {lsn}"
        out(f"log         {stream['state']}{waits}; {stored}")
    if overview.lag_bytes is None:
        out("lag         unknown")
    else:
        out(f"lag         {format_bytes(overview.lag_bytes)} not yet received")
    out(f"backups     {overview.backups}, newest {overview.newest_backup or 'none'}")
    if overview.proven_backup is not None:
        out(f"proven      {overview.proven_backup} is the newest that was brought back")
    elif overview.newest_backup is not None:
        out("proven      none was ever brought back")
    if overview.next_backup_at is not None:
        out(f"next        {overview.next_backup_at:%Y-%m-%d %H:%M} UTC")
    if overview.open_run is not None:
        waits_for = f"waits: {overview.waits_for}" if overview.waits_for else "is under way"
        out(f"run         {overview.open_run} {waits_for}")
    out()
    for objective in overview.objectives:
        out(
            f"{objective['title']:<22} recover in {format_duration(objective['rto_s'])}, "
            f"lose at most {format_duration(objective['rpo_s'])}"
        )
    for drill in overview.drills:
        out(f"{'drill ' + drill.drill:<22} {drill.state}: {drill.why}")
    if overview.paging_tested_at is not None:
        out(f"{'paging':<22} last tried {overview.paging_tested_at:%Y-%m-%d %H:%M} UTC")
    else:
        out(f"{'paging':<22} never tried: processpilot page test")
    _print_measured(overview)


def _print_measured(overview: Overview) -> None:
    measured = overview.measured
    if measured is None:
        out("measured               never: no recovery has been run")
        return
    lost = format_duration(measured.data_loss_window_s)
    at = "" if measured.at is None else f" on {measured.at:%Y-%m-%d %H:%M} UTC"
    out(
        f"measured               {measured.verdict}{at}: recovered in "
        f"{format_duration(measured.recovery_time_s)}, data lost {lost}"
    )
