"""What providers' programs do not do, although runbooks say so, and what does it instead.

Compared with supabase 3.1.0 and 2.122.1, neon 6.2.3 and the sources of pscale (August 2026) and
railway 5.43.1. A pattern is looked for in a command's words, joined by spaces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fact:
    """A command that does not do what is expected of it: why not, and what to use."""

    pattern: re.Pattern[str]
    why: str
    instead: str


def _fact(pattern: str, why: str, instead: str) -> Fact:
    return Fact(re.compile(pattern), why, instead)


FACTS = (
    _fact(
        r"^supabase db dump\b.*--list\b",
        "supabase db dump has no flag --list",
        "supabase backups list --remote=REF (3.x) or --project-ref REF (2.x)",
    ),
    _fact(
        r"^supabase db restore\b",
        "supabase has no command db restore, and no command takes a backup's id",
        "supabase backups restore --timestamp UNIX_SECONDS --remote=REF, or POST "
        '/v1/projects/REF/database/backups/restore {"id": ID}',
    ),
    _fact(
        r"^supabase db dump\b.*--db-url\b",
        "supabase db dump --db-url exists in 2.x only and dumps the schema alone",
        "three passes: --role-only, plain, --data-only --use-copy; in 3.x with --remote=URL",
    ),
    _fact(
        r"^pscale branch create\b(?!.*--(?:restore|restore-point)\b)",
        "pscale branch create makes a branch without rows",
        "pscale branch create DATABASE BRANCH --restore BACKUP_ID --cluster-size PS-10 --wait",
    ),
    _fact(
        r"^pscale deploy-request create\b(?: [^-]\S*){3}",
        "pscale deploy-request create ignores a third word (the flag is --into) and deploys the "
        "schema only",
        "pscale branch promote DATABASE BRANCH, then make it the default branch",
    ),
    _fact(
        r"^pscale deploy-request create\b",
        "pscale deploy-request create deploys the schema only, no rows",
        "pscale branch promote DATABASE BRANCH, then make it the default branch",
    ),
    _fact(
        r"^pscale branch restore\b",
        "pscale has no command branch restore",
        "pscale branch create DATABASE NEW --from main --restore-point TIME (Postgres); Vitess has "
        "no time target",
    ),
    _fact(
        r"^mysqldump\b.*--(?:routines|triggers)\b",
        "a Vitess keyspace promises neither routines nor triggers",
        "pscale database dump DATABASE main --output DIR (Vitess); pg_dump (Postgres)",
    ),
    _fact(
        r"^neon(?:ctl)? branch(?:es)? reset\b.*--parent\b.*--timestamp\b"
        r"|^neon(?:ctl)? branch(?:es)? reset\b.*--timestamp\b.*--parent\b",
        "neon branches reset --parent ignores --timestamp without a word and overwrites the "
        "branch, nothing preserved",
        "neon branches restore main '^self@TIME' --preserve-under-name main_before_TIME",
    ),
    _fact(
        r"^neon(?:ctl)? branch(?:es)? reset\b.*--timestamp\b",
        "neon branches reset cannot go to a time, only to the parent's head",
        "neon branches restore main '^self@TIME' --preserve-under-name main_before_TIME",
    ),
    _fact(
        r"^neon(?:ctl)? branch(?:es)? list\b",
        "neon branches list proves that a branch exists, not that its data are right",
        "neon operations list, then a query through neon connection-string main --project-id ID",
    ),
    _fact(
        r"^pg_dump\b.*\$\{?NEON_DATABASE_URL\b",
        "pg_dump does not work through Neon's pooler",
        "pg_dump with a host without -pooler, --no-owner --no-privileges",
    ),
    _fact(
        r"^pg_dump\b.*\$\{?RAILWAY_DATABASE_URL\b",
        "pg_dump reaches Railway's database only through a TCP proxy",
        "railway connect postgres --tunnel-only, or DATABASE_PUBLIC_URL",
    ),
    _fact(
        r"^railway (?:\S+ )*snapshots?\b",
        "railway has no command for snapshots",
        "railway postgres pitr backup list | create | restore --service SERVICE --json",
    ),
    _fact(
        r"(?i)^(?:navigate|go) to .*snapshots\b",
        "Railway's page for them is called Backups",
        "railway postgres pitr backup list, then railway postgres pitr restore --at TIME "
        "--new-service-name NAME --yes --service SERVICE --json",
    ),
)


def facts_about(words: str) -> Iterator[Fact]:
    """Yield the first fact about a command line or a line of prose, if there is one."""
    for fact in FACTS:
        if fact.pattern.search(words):
            yield fact
            return
