"""The evening before the night: the plan that people leave, a backup, protection, a drill."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from drill_site import drills_can_run
from night_clock import NightClock
from night_plan import Doors, agreed, write_secrets
from seed_mend import Facts, mended
from seed_pilot import Pilot
from seed_site import CLOCK, SeedSite

from processpilot.demo import stage
from processpilot.postgres.connection import ServerAddress
from processpilot.progress import silent

SEED = Path(__file__).resolve().parents[2] / "shared" / "seed" / "DISASTER_RECOVERY.md"
ACCEPTED = ("verify-core-functionality", "check-logs-tail-100-var-log-processpilot-error")


def write_plan(site: SeedSite, shell: Pilot, doors: Doors) -> None:
    """Leave the plan: the seed's, imported and mended, or the built-in one; and the agreements."""
    if SEED.exists():
        well(shell, "plan", "import", str(SEED), "--base", "base.yaml")
        facts = Facts(site.places.url, str(site.places.logs / "api.log"))
        text, scenario = mended(site.plan.read_text(), facts), "complete-database-failure"
    else:
        text, scenario = site.base.read_text(), "database-failure"
    site.plan.write_text(agreed(text, scenario, doors))
    write_secrets(site.places.site, doors)
    if SEED.exists():
        well(shell, "names", "install", ".")
        well(shell, "plan", "accept", "--yes", "--as", "CTO", *ACCEPTED)


def evening(site: SeedSite, shell: Pilot, clock: NightClock) -> dict[str, Any] | None:
    """Back up, protect, and walk a drill; return what became of it, None where none can be."""
    stage.take_first_backup(site.places, silent)
    site.protect()
    stage.start_load(site.places, site.supervisor, CLOCK)
    drill = None
    if drills_can_run():
        done = shell.run("drill", "run", "--key", stage.ESCROW_FILE, "--json")
        assert done.status in (0, 1) and done.said.startswith("{"), done.said
        drill = json.loads(done.said)
    site.kill_agent()
    clock.set_heartbeat(ServerAddress.parse(site.places.database_url.read_text().strip()))
    return drill


def next_three(now: datetime) -> datetime:
    """Return the next 03:00 that is far enough ahead for the evening to be before it."""
    at = now.replace(hour=3, minute=0, second=0, microsecond=0)
    while at < now + timedelta(minutes=20):
        at += timedelta(days=1)
    return at


def well(shell: Pilot, *words: str) -> str:
    """Run a command that ends well; return what it said."""
    done = shell.run(*words)
    assert done.status == 0, done.said
    return done.said
