"""The verdict: the worst of what was found decides, and not known is never green."""

from __future__ import annotations

from drill_events import check

from processpilot.checks.result import Outcome
from processpilot.drill.verdict import Objective, Walked, judge
from processpilot.runbook.state import Verdict

AIM = Objective("database", 60.0, 5.0)
GOOD = (check("data"), check("isolation: network"), check("cleanup: folders"))


def walked(*checks: object, **fields: object) -> Walked:
    """Return what a drill found, good unless said otherwise."""
    given = {"recovery_time_s": 10.0, "data_loss_window_s": 1.0, "data_loss_bound_s": 2.0}
    return Walked(checks or GOOD, AIM, **(given | fields))  # type: ignore[arg-type]


def test_everything_passed_and_every_objective_kept_is_passed() -> None:
    """Nothing else is."""
    assert judge(walked()) == (Verdict.PASSED, ())


def test_a_failed_cleanup_fails_the_drill() -> None:
    """However well the recovery went."""
    verdict, (reason,) = judge(walked(*GOOD, check("cleanup: mounts", Outcome.FAILED)))
    assert verdict is Verdict.FAILED
    assert reason == "cleanup failed: mounts: expected this, found that"


def test_a_failed_cleanup_outweighs_giving_up() -> None:
    """A drill that was ended and left something behind has failed, not only ended."""
    dirty = walked(check("cleanup: folders", Outcome.FAILED), given_up="told to end")
    assert judge(dirty)[0] is Verdict.FAILED


def test_what_was_told_to_end_is_aborted() -> None:
    """Once it left nothing behind."""
    assert judge(walked(given_up="told to end")) == (Verdict.ABORTED, ("told to end",))


def test_unproven_isolation_is_missed_at_best() -> None:
    """And the verdict says so in these words."""
    verdict, (reason,) = judge(walked(*GOOD, check("isolation: namespaces", Outcome.UNKNOWN)))
    assert verdict is Verdict.MISSED
    assert reason == "isolation unproven: because"


def test_an_unknown_check_is_missed() -> None:
    """What could not be finished has not passed."""
    assert judge(walked(*GOOD, check("data", Outcome.UNKNOWN)))[0] is Verdict.MISSED


def test_objectives_that_were_missed_are_named_with_both_values() -> None:
    """Recovery time and data loss."""
    verdict, reasons = judge(walked(recovery_time_s=61.0, data_loss_window_s=6.0))
    assert verdict is Verdict.MISSED
    assert reasons == (
        "recovered in 61.0 s, the objective is 60 s",
        "lost 6.0 s, the objective is 5 s",
    )


def test_less_than_two_heartbeats_is_no_loss() -> None:
    """They are a second apart, so an objective of 0 can be kept; a third one missing is a loss."""
    aim = Objective("database", 60.0, 0.0)
    found = {"recovery_time_s": 10.0, "data_loss_bound_s": 2.0}
    assert judge(Walked(GOOD, aim, data_loss_window_s=1.9, **found))[0] is Verdict.PASSED
    verdict, (reason,) = judge(Walked(GOOD, aim, data_loss_window_s=2.1, **found))
    assert (verdict, reason) == (Verdict.MISSED, "lost 2.1 s, the objective is 0 s")


def test_where_no_heartbeat_was_found_the_bound_counts() -> None:
    """A bound within the objective keeps it, one beyond misses it."""
    assert judge(walked(data_loss_window_s=None))[0] is Verdict.PASSED
    verdict, (reason,) = judge(walked(data_loss_window_s=None, data_loss_bound_s=9.0))
    assert (verdict, reason) == (Verdict.MISSED, "lost at most 9.0 s, the objective is 5 s")


def test_what_was_not_measured_is_missed() -> None:
    """Neither time nor loss."""
    nothing = walked(recovery_time_s=None, data_loss_window_s=None, data_loss_bound_s=None)
    assert judge(nothing)[1] == (
        "the recovery time was not measured",
        "the data loss was not measured",
    )


def test_a_failure_on_the_way_is_failed() -> None:
    """With what went wrong."""
    assert judge(walked(failure="log is missing")) == (Verdict.FAILED, ("log is missing",))
