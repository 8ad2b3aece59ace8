"""Opening a store by its address."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from processpilot.errors import UsageError
from processpilot.storage.local import LocalStore
from processpilot.storage.s3 import S3Store, StoreOptions
from processpilot.storage.store import ObjectStore, check_name

__all__ = ["StoreOptions", "open_store"]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_SECRET = re.compile(r"//[^/]*@")
# S3 user guide, "General purpose bucket naming rules".
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def open_store(url: str, options: StoreOptions, *, create: bool = False) -> ObjectStore:
    """Return the store at a folder's path, file:///folder, or s3://bucket/prefix.

    `create` makes a missing folder; a bucket must exist. `options` concern S3 only.
    """
    scheme = _SCHEME.match(url)
    if url and scheme is None:
        return LocalStore(Path(url), create=create)
    if url.startswith("file:"):
        return LocalStore(_folder(url), create=create)
    if url.startswith("s3://"):
        bucket, prefix = _bucket(url)
        return S3Store(bucket, prefix, options)
    raise _not_a_place(url)


def _folder(url: str) -> Path:
    parts = _split(url)
    if parts.netloc or parts.query or parts.fragment or not parts.path.startswith("/"):
        raise _not_a_place(url)
    return Path(unquote(parts.path))


def _bucket(url: str) -> tuple[str, str]:
    parts = _split(url)
    prefix = parts.path.strip("/")
    if not _BUCKET.fullmatch(parts.netloc) or parts.query or parts.fragment:
        raise _not_a_place(url)
    return parts.netloc, check_name(prefix) if prefix else ""


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise _not_a_place(url) from error


def _not_a_place(url: str) -> UsageError:
    shown = _SECRET.sub("//***@", url)
    return UsageError(
        f'"{shown}" is not a place for a repository',
        hint="Write a folder's path, file:///folder, or s3://bucket/prefix; keys go under "
        "repository.options in the plan.",
    )
