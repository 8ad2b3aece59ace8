"""Evidence and reviews of what the journal holds, made with the plan's own key."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from processpilot.dossier.drill_pack import DrillSources, pack_of_drill
from processpilot.dossier.pack import Sources, pack_of_run
from processpilot.dossier.review import Material, Review, write_review
from processpilot.dossier.signing import open_signing_key
from processpilot.dossier.store import FOLDER, StoredPack, store_pack
from processpilot.drill.history import read_rehearsal
from processpilot.drill.state import stream_of as drill_stream
from processpilot.errors import ProcessPilotError
from processpilot.evidence.report import build_report
from processpilot.evidence.versions import versions
from processpilot.incident.kind import PREFIX
from processpilot.incident.record import read_incident
from processpilot.incident.state import Incident
from processpilot.journal.event import Event
from processpilot.runbook.history import read_run
from processpilot.runbook.state import RunState, stream_of
from processpilot.wiring.running import pinned
from processpilot.wiring.wired import SECRETS, Wired

KEY_FILE = "evidence.key"
EVIDENCE = "evidence"


def signing_key(wired: Wired) -> Ed25519PrivateKey:
    """Return the key that signs this plan's evidence, made at first use."""
    return open_signing_key(wired.state_dir / SECRETS / KEY_FILE)


def leave_evidence(wired: Wired, made: Callable[[], StoredPack], name: str) -> None:
    """Have evidence written; what keeps it from being written is noted and keeps nothing else."""
    try:
        made()
    except ProcessPilotError as error:
        data = {"id": name, "why": error.message}
        wired.journal.append(EVIDENCE, "evidence-not-written", data)


def make_run_evidence(wired: Wired, run_id: str) -> StoredPack:
    """Write and sign a run's evidence beside its report."""
    journal = wired.journal
    run = read_run(journal, run_id)
    incident = _incident_of(wired, run)
    head = journal.head()
    sources = Sources(
        run,
        journal.read(stream_of(run_id)),
        build_report(run, versions(_server(wired))),
        pinned(wired, run).loaded.plan,
        (head.position, head.hash),
        incident,
        _events_of(wired, incident),
    )
    return store_pack(pack_of_run(sources), wired.reports_dir(run_id) / FOLDER, signing_key(wired))


def make_drill_evidence(wired: Wired, rehearsal_id: str) -> StoredPack:
    """Write and sign a drill's evidence."""
    journal = wired.journal
    head = journal.head()
    sources = DrillSources(
        read_rehearsal(journal, rehearsal_id),
        journal.read(drill_stream(rehearsal_id)),
        wired.loaded.plan,
        versions(_server(wired)),
        (head.position, head.hash),
    )
    folder = wired.state_dir / "drills" / rehearsal_id / FOLDER
    return store_pack(pack_of_drill(sources), folder, signing_key(wired))


def review_of(wired: Wired, incident: Incident) -> Review:
    """Return the post-incident document of an incident."""
    events = _events_of(wired, incident)
    if incident.run_id is None:
        return write_review(Material(incident, events))
    run = read_run(wired.journal, incident.run_id)
    report = build_report(run, versions(None))
    run_events = wired.journal.read(stream_of(run.run_id))
    return write_review(Material(incident, events, run, run_events, report))


def _incident_of(wired: Wired, run: RunState) -> Incident | None:
    name = run.details.get("incident")
    return None if name is None else read_incident(wired.journal, str(name))


def _events_of(wired: Wired, incident: Incident | None) -> tuple[Event, ...]:
    return () if incident is None else wired.journal.read(f"{PREFIX}{incident.incident_id}")


def _server(wired: Wired) -> str | None:
    try:
        return wired.facts().server_version
    except ProcessPilotError:
        return None
