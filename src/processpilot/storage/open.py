"""Opening a store by its address."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from processpilot.errors import UsageError
from processpilot.storage.local import LocalStore
from processpilot.storage.store import ObjectStore


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """How to reach object storage."""

    endpoint: str | None = None
    region: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    allow_http: bool = False


def open_store(url: str, options: StoreOptions, *, create: bool = False) -> ObjectStore:
    """Return the store at a folder's path."""
    if "://" in url:
        raise UsageError(f'"{url}" is not a place for a repository')
    return LocalStore(Path(url), create=create)
