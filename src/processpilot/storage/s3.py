"""An S3 bucket as an object store, over obstore, whose errors end here.

Creation is a PUT with `If-None-Match: *` (S3 user guide, "Conditional writes"). Some endpoints
ignore the header, so opening writes one probe object and tries to create it again; it stays, and
listings leave it out. Where the second attempt succeeds or the header is refused, or the keys may
not write, creation looks first and is not atomic. Without keys, obstore takes what the machine
offers: environment variables, then the instance's role. obstore retries; `retry_s` bounds how long
it starts new attempts.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, TypeVar

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import S3Store as Bucket

from processpilot.errors import NotFoundError, UnavailableError, UsageError
from processpilot.storage.s3_failure import NOT_IMPLEMENTED, Failure
from processpilot.storage.store import (
    MOST_BYTES,
    Capabilities,
    ExistsError,
    ObjectInfo,
    check_name,
    check_size,
    short_object,
)

if TYPE_CHECKING:
    from obstore.store import S3Config, S3Credential

_PROBE = "probe=create"
_ENDPOINT = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+(?:/[A-Za-z0-9._/-]*)?")
_ATTEMPTS = 5
_PAUSE_S = 0.2

Answer = TypeVar("Answer")
_CONNECT = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """How to reach object storage; both keys or neither. `timeout_s` bounds one request."""

    endpoint: str | None = None
    region: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    allow_http: bool = False
    timeout_s: float = 300.0


class S3Store:
    """Objects below `prefix` in `bucket`, which must exist."""

    def __init__(
        self, bucket: str, prefix: str, options: StoreOptions, *, retry_s: float = 60.0
    ) -> None:
        self._made_with = (bucket, prefix, options, retry_s)
        self._place = f"s3://{bucket}/{prefix}".rstrip("/")
        self._keyless = options.access_key is None
        self._bucket = _connect(bucket, prefix, options, retry_s)
        self._retry_s = retry_s
        self._ask("list", self._place, lambda: next(iter(obstore.list(self._bucket)), None))
        self._mode: Literal["create", "overwrite"] = "create"
        self._atomic = self._probe()

    def __reduce__(self) -> tuple[object, ...]:
        """Make it picklable: a worker process connects anew."""
        return _connect_again, self._made_with

    @property
    def location(self) -> str:
        """The bucket and prefix as an s3 address."""
        return self._place

    @property
    def capabilities(self) -> Capabilities:
        """Whether the endpoint was seen to honour conditional creation."""
        return Capabilities(atomic_create=self._atomic, local_path=False)

    def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        """Create an object; durable on return. At most 5 GiB, the limit of one S3 PUT."""
        check_name(name)
        for _ in range(_ATTEMPTS):
            if self._create(name, data):
                return
            try:
                present = self.get(name)
            except NotFoundError:
                continue
            if present != bytes(data):
                raise ExistsError(f"{name} exists with other content")
            return
        raise UnavailableError(
            f"{self._place}: {name} was refused as present and then absent, {_ATTEMPTS} times",
            hint="Find out what else writes to this bucket, then try again.",
            transient=True,
        )

    def get(self, name: str, *, limit_bytes: int = MOST_BYTES) -> bytes:
        """Return a whole object."""
        check_name(name)

        def read() -> bytes:
            answer = obstore.get(self._bucket, name)
            check_size(name, answer.meta["size"], limit_bytes)
            return answer.bytes().to_bytes()

        return self._ask("get", name, read)

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset`."""
        return self.get_ranges(name, [(offset, length)])[0]

    def get_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return several ranges of one object, in order; neighbours share a request."""
        # obstore panics on a range beyond the end (0.12), so the size comes first.
        size = self.size(name)
        for offset, length in ranges:
            if length and offset + length > size:
                raise short_object(name, offset, length, max(0, size - offset))
        wanted = [(offset, length) for offset, length in ranges if length]
        if not wanted:
            return [b""] * len(ranges)
        starts, lengths = zip(*wanted, strict=True)
        found = iter(
            self._ask(
                "get",
                name,
                lambda: obstore.get_ranges(self._bucket, name, starts=starts, lengths=lengths),
            )
        )
        return [next(found).to_bytes() if length else b"" for _, length in ranges]

    def size(self, name: str) -> int:
        """Return an object's size in bytes."""
        check_name(name)
        return self._ask("head", name, lambda: obstore.head(self._bucket, name)["size"])

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object whose name begins with `prefix`, sorted by name."""
        folder = prefix.rpartition("/")[0]

        def listed() -> list[ObjectInfo]:
            return [
                ObjectInfo(meta["path"], meta["size"], meta["last_modified"])
                for chunk in obstore.list(self._bucket, folder or None, chunk_size=1000)
                for meta in chunk
                if meta["path"].startswith(prefix) and meta["path"].rpartition("/")[2] != _PROBE
            ]

        yield from sorted(self._ask("list", prefix, listed), key=lambda info: info.name)

    def delete(self, name: str) -> None:
        """Remove an object; nothing happens when there is none."""
        check_name(name)
        try:
            self._ask("delete", name, lambda: obstore.delete(self._bucket, name))
        except NotFoundError:
            return

    def _create(self, name: str, data: bytes | bytearray | memoryview) -> bool:
        """Write an object unless one is seen under its name; say whether it was written."""
        if not self._atomic:
            try:
                self.size(name)
            except NotFoundError:
                pass
            else:
                return False

        def write() -> bool:
            try:
                obstore.put(self._bucket, name, data, mode=self._mode)
            except AlreadyExistsError:
                return False
            return True

        return self._ask("put", name, write)

    def _probe(self) -> bool:
        """Return whether creating the probe object a second time is refused."""

        def create(content: bytes) -> bool | None:
            """Return None when it was written, else whether that is because it is present."""
            try:
                obstore.put(self._bucket, _PROBE, content, mode="create")
            except AlreadyExistsError:
                return True
            except (PermissionDeniedError, UnauthenticatedError):
                return False
            except BaseError as error:
                if Failure.read(str(error)).status != NOT_IMPLEMENTED:
                    raise
                self._mode = "overwrite"
                return False
            return None

        refused = self._ask("put", _PROBE, lambda: create(b"first"))
        if refused is None:
            refused = self._ask("put", _PROBE, lambda: create(b"second"))
        return bool(refused)

    def _ask(self, act: str, name: str, request: Callable[[], Answer]) -> Answer:
        """Return what `request` answers; ask again when an answer broke off.

        obstore repeats what was refused or never reached the endpoint. It does not repeat a write
        whose answer was lost or an answer that ended early; here both are harmless.
        """
        give_up_at = time.monotonic() + self._retry_s
        while True:
            try:
                return request()
            except FileNotFoundError as error:
                failure = Failure.read(str(error))
                if failure.bucket_missing:
                    raise failure.error(self._place, act, keyless=self._keyless) from error
                raise NotFoundError(f"no object at {self._place}/{name}") from error
            except BaseError as error:
                failure = Failure.read(str(error))
                if failure.status is not None or time.monotonic() >= give_up_at:
                    raise failure.error(self._place, act, keyless=self._keyless) from error
                time.sleep(_PAUSE_S)


def _connect_again(bucket: str, prefix: str, options: StoreOptions, retry_s: float) -> S3Store:
    return S3Store(bucket, prefix, options, retry_s=retry_s)


def _connect(bucket: str, prefix: str, options: StoreOptions, retry_s: float) -> Bucket:
    config: S3Config = {"disable_bulk_delete": True}
    if options.endpoint is not None:
        _check_endpoint(options.endpoint, allow_http=options.allow_http)
        config["endpoint"] = options.endpoint
    if options.region is not None:
        config["region"] = options.region
    return Bucket(
        bucket,
        prefix=prefix or None,
        config=config,
        client_options={
            "allow_http": options.allow_http,
            "connect_timeout": _CONNECT,
            "timeout": timedelta(seconds=options.timeout_s),
        },
        retry_config={
            "max_retries": 10,
            "retry_timeout": timedelta(seconds=retry_s),
            "backoff": {"max_backoff": timedelta(seconds=5)},
        },
        credential_provider=_keys(options),
    )


def _check_endpoint(endpoint: str, *, allow_http: bool) -> None:
    if not _ENDPOINT.fullmatch(endpoint):
        raise UsageError(
            "the storage endpoint is not an address like https://host:port",
            hint="Correct repository.options.endpoint in the plan.",
        )
    if endpoint.startswith("http:") and not allow_http:
        raise UsageError(
            f"the storage endpoint {endpoint} is not encrypted",
            hint="Use https, or set repository.options.allow_http in the plan.",
        )


def _keys(options: StoreOptions) -> Callable[[], S3Credential] | None:
    """Return what hands obstore the keys; as settings, AWS_SESSION_TOKEN would be added to them."""
    if options.access_key is None and options.secret_key is None:
        return None
    if options.access_key is None or options.secret_key is None:
        raise UsageError(
            "only one of access_key and secret_key is set",
            hint="Set both under repository.options in the plan, or neither.",
        )
    credential: S3Credential = {
        "access_key_id": options.access_key,
        "secret_access_key": options.secret_key,
        "token": None,
        "expires_at": None,
    }
    return lambda: credential
