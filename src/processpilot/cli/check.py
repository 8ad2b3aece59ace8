"""`processpilot check`: is everything there that protection and recovery rely on?"""

from __future__ import annotations

import typer

from processpilot.agent.examine import Examination, is_ready
from processpilot.checks.result import Outcome
from processpilot.cli.exits import NOT_WELL
from processpilot.cli.frame import DEFAULT_PLAN, JsonOption, PlanOption, opened, out, print_json

_MARKS = {
    Outcome.PASSED: "ok  ",
    Outcome.FAILED: "FAIL",
    Outcome.UNKNOWN: "????",
    Outcome.SKIPPED: "note",
}


def check(plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False) -> None:
    """Can we receive the log, write and read the repository, reach the services?"""
    with opened(plan, as_json=as_json) as wired:
        findings = Examination(wired).run()
    ready = is_ready(findings)
    if as_json:
        print_json({"ready": ready, "findings": findings})
    else:
        for finding in findings:
            out(f"{_MARKS[finding.outcome]}  {finding.name}: {finding.detail}")
            if finding.hint is not None:
                out(f"      {finding.hint}")
        failed = [f for f in findings if f.outcome in (Outcome.FAILED, Outcome.UNKNOWN)]
        out()
        out("Ready." if ready else f"Not ready: {len(failed)} of {len(findings)} need attention.")
    if not ready:
        raise typer.Exit(NOT_WELL)
