"""What of a data directory a base backup leaves out.

Source: manual, "Making a Base Backup Using the Low Level API", and the lists excludeDirContents and
excludeFiles of src/backend/backup/basebackup.c, PostgreSQL 15 to 18.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_EMPTIED = frozenset(
    {
        "pg_wal",
        "pg_wal/archive_status",
        "pg_wal/summaries",
        "pg_replslot",
        "pg_dynshmem",
        "pg_notify",
        "pg_serial",
        "pg_snapshots",
        "pg_stat_tmp",
        "pg_subtrans",
    }
)
_TOP_FILES = frozenset(
    {
        "postmaster.pid",
        "postmaster.opts",
        "postgresql.auto.conf.tmp",
        "current_logfiles.tmp",
        "backup_label",
        "backup_label.old",
        "tablespace_map",
        "tablespace_map.old",
        "backup_manifest",
        "standby.signal",
        "recovery.signal",
    }
)
_TEMPORARY_RELATION = re.compile(r"t\d+_\d+(?:_(?:fsm|vm|init))?(?:\.\d+)?")
_FORK = re.compile(r"(\d+)(?:_(fsm|vm|init))?(?:\.\d+)?")


def keeps_contents(relative_dir: str) -> bool:
    """Whether a folder's files are taken; of the others only the empty folder is."""
    return relative_dir not in _EMPTIED and not _is_temporary(relative_dir)


def _is_temporary(relative_dir: str) -> bool:
    return relative_dir.rpartition("/")[2].startswith("pgsql_tmp")


def excludes_file(relative_path: str) -> bool:
    """Whether a file is left out: locks, leftovers, temporary files and relations."""
    folder, _, name = relative_path.rpartition("/")
    if not folder and name in _TOP_FILES:
        return True
    if name.startswith(("pgsql_tmp", "pg_internal.init")):
        return True
    return bool(folder and _TEMPORARY_RELATION.fullmatch(name))


def unlogged_forks(names: Iterable[str]) -> set[str]:
    """Return the files of one folder that belong to unlogged relations, the init fork apart.

    Recovery makes them anew from the init fork.
    """
    parsed = [(name, match) for name in names if (match := _FORK.fullmatch(name))]
    unlogged = {match[1] for _, match in parsed if match[2] == "init"}
    return {name for name, match in parsed if match[1] in unlogged and match[2] != "init"}
