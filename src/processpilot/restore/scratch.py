"""The scratch server: PostgreSQL on a restored folder, cut off from everything.

It listens on a private socket only, archives nothing, connects nowhere and starts no scheduler.
All of that is given on its command line, so nothing has to be cleaned out of the folder later.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from processpilot.postgres.cluster import Postmaster, start
from processpilot.postgres.connection import ServerAddress
from processpilot.repository.manifest import ClusterFacts
from processpilot.restore.isolation import IsolatedPlan, start_isolated
from processpilot.restore.machine import SCHEDULERS
from processpilot.restore.plan import RestorePlan
from processpilot.restore.staging import make_staging, write_into

# Recovery refuses to start below the source's values (manual, "Hot Standby").
_KEPT = (
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
)
_ISOLATION = {
    "listen_addresses": "",
    "archive_mode": "off",
    "archive_command": "",
    "archive_library": "",
    "synchronous_standby_names": "",
    "primary_conninfo": "",
    "primary_slot_name": "",
    "max_logical_replication_workers": "0",
    "logging_collector": "off",
    "log_destination": "stderr",
    "ssl": "off",
    "autovacuum": "off",
    "hot_standby": "on",
    "restore_command": "",
    "recovery_target": "",
    # What it writes on its new timeline has to be there still when somebody streams again.
    "wal_keep_size": "1GB",
    "cluster_name": "processpilot-scratch",
}
_START_TIMEOUT_S = 86_400.0
_HBA = "local all all trust\n"


def isolation_settings(facts: ClusterFacts) -> dict[str, str]:
    """Return the settings that cut a copy of `facts`'s cluster off and keep recovery content."""
    kept = {name: facts.settings[name] for name in _KEPT if name in facts.settings}
    preload = [name for name in facts.preload_libraries if name not in SCHEDULERS]
    buffers = min(int(facts.settings.get("shared_buffers", "16384")), _memory_buffers())
    return {
        **_ISOLATION,
        **kept,
        "wal_level": facts.settings.get("wal_level", "replica"),
        "shared_preload_libraries": ",".join(preload),
        "shared_buffers": str(max(buffers, 128)),
    }


def _memory_buffers() -> int:
    """Return an eighth of this machine's memory, in blocks of 8 KiB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 8 // 8192


def start_scratch(plan: RestorePlan, extra: Mapping[str, str], superuser: str) -> Postmaster:
    """Return a running scratch server on the plan's folder, ready for `superuser`.

    `extra` are further settings, such as those of recovery. UnavailableError with the server's
    last words when it ends instead of becoming ready.
    """
    staging = make_staging(plan.folder)
    settings = isolation_settings(plan.manifest.cluster) | dict(extra)
    for key, name, text in (
        ("hba_file", "pg_hba.conf", _HBA),
        ("ident_file", "pg_ident.conf", ""),
        ("config_file", "postgresql.conf", ""),
    ):
        write_into(staging, name, text.encode())
        settings[key] = str(staging / name)
    if (plan.folder / "postgresql.conf").exists():
        del settings["config_file"]
    else:
        settings["data_directory"] = str(plan.folder)
    if isinstance(plan, IsolatedPlan):
        return start_isolated(plan, settings, superuser, _START_TIMEOUT_S)
    return start(
        plan.installation,
        plan.folder,
        settings=settings,
        log_path=staging / "server.log",
        timeout_s=_START_TIMEOUT_S,
        superuser=superuser,
    )


def scratch_address(
    server: Postmaster, superuser: str, database: str = "postgres"
) -> ServerAddress:
    """Return how to reach a scratch server."""
    return ServerAddress.parse("").with_options(
        host=str(server.socket_dir), port=server.port, user=superuser, dbname=database
    )
