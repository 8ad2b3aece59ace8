"""The evidence of a drill: the same form as a run's, as JSON and as a page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from drill_events import BEGIN, rehearsal
from plan_text import PLAN

from processpilot.dossier.drill_pack import DrillSources, pack_of_drill
from processpilot.dossier.signing import public_text, verify_folder
from processpilot.dossier.store import store_pack
from processpilot.drill.state import Phase, Rehearsal, WalkedPhase
from processpilot.plan.load import parse_plan

BACKUP = "20260301T110000Z-00000001"
RESOLVED = {"backup": BACKUP, "moment": "2026-03-01T11:30:00+00:00", "timeline": 1}
OBJECTIVE = {"component": "database", "rto_s": 60.0, "rpo_s": 0.0}


def pack(drill: Rehearsal) -> dict[str, Any]:
    """Return the evidence of a drill."""
    plan = parse_plan(PLAN, Path("processpilot.yaml")).plan
    return pack_of_drill(DrillSources(drill, (), plan, {"python": "3"}, (0, "")))


def walked() -> Rehearsal:
    """Return a drill that was walked, with what it recovered from and to."""
    resolve = WalkedPhase(Phase.RESOLVE, BEGIN, BEGIN, True, RESOLVED)
    replay = WalkedPhase(Phase.REPLAY, BEGIN, BEGIN, True, {"reached_lsn": "0/3000000"})
    return replace(rehearsal(), phases=(resolve, replay), details={"objective": OBJECTIVE})


def test_backup_and_target_are_told_as_those_of_a_run() -> None:
    """Which backup, which moment, how far the log was replayed."""
    made = pack(walked())
    assert made["backup"] == {"id": BACKUP}
    assert (made["target"]["kind"], made["target"]["reached_lsn"]) == ("time", "0/3000000")
    assert made["target"]["value"] == RESOLVED["moment"]


def test_objectives_are_judged_as_the_verdict_does() -> None:
    """A loss that heartbeats cannot tell from none keeps an objective of none."""
    (objective,) = pack(walked())["scope"]["objectives"]
    assert (objective["rto_met"], objective["rpo_met"]) == (True, True)
    (missed,) = pack(replace(walked(), data_loss_window_s=9.0))["scope"]["objectives"]
    assert missed["rpo_met"] is False


def test_a_drill_that_ended_early_leaves_evidence_too(tmp_path: Path) -> None:
    """Nothing is known of backup and target then; walked or not, the page is written and signed."""
    key = Ed25519PrivateKey.generate()
    for name, drill in (("walked", walked()), ("early", rehearsal(None))):
        stored = store_pack(pack(drill), tmp_path / name, key)
        assert set(verify_folder(stored.folder, public_text(key)).files) == {
            "evidence.html",
            "evidence.json",
        }
    assert BACKUP in (tmp_path / "walked" / "evidence.html").read_text()
    assert pack(rehearsal(None))["backup"] is None
