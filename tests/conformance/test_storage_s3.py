"""What is S3's alone: probing, refusals, and secrets kept out of messages."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler
from uuid import uuid4

import pytest
from s3_proxy import answering, forward

from processpilot.errors import NotFoundError, UnavailableError, UsageError
from processpilot.storage.s3 import S3Store, StoreOptions
from processpilot.storage.store import ExistsError

SECRET = "kept-to-ourselves"


def _options(endpoint: str) -> StoreOptions:
    return StoreOptions(endpoint, "us-east-1", "access", SECRET, allow_http=True)


def _prefix() -> str:
    return f"s3/{uuid4().hex}"


def test_reopening_still_finds_atomic_creation(s3_endpoint: str) -> None:
    """The probe object that the first opening left does not mislead the second."""
    prefix = _prefix()
    for _ in range(2):
        store = S3Store("conformance", prefix, _options(s3_endpoint))
        assert store.capabilities.atomic_create
        assert list(store.list("")) == []


def test_probe_objects_of_stores_below_are_not_listed(s3_endpoint: str) -> None:
    """A store opened above another lists its objects and not its probe."""
    prefix = _prefix()
    S3Store("conformance", f"{prefix}/below", _options(s3_endpoint)).put("a", b"1")
    above = S3Store("conformance", prefix, _options(s3_endpoint))
    assert [info.name for info in above.list("")] == ["below/a"]


@pytest.mark.parametrize("understood", [True, False])
def test_endpoint_without_conditional_writes_is_declared_and_usable(
    s3_endpoint: str, understood: bool
) -> None:
    """Where If-None-Match is ignored or unknown, the store says so and still never overwrites."""

    def answer(request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if request.headers.get("if-none-match") and not understood:
            return 501, {}, b""
        return forward(s3_endpoint, request, body, without="if-none-match")

    with answering(answer) as endpoint:
        store = S3Store("conformance", _prefix(), _options(endpoint), retry_s=0.1)
        assert not store.capabilities.atomic_create
        store.put("a", b"first")
        store.put("a", b"first")
        with pytest.raises(ExistsError):
            store.put("a", b"second")
        assert store.get("a") == b"first"
        assert store.get_ranges("a", [(0, 2), (3, 2)]) == [b"fi", b"st"]


def test_keys_that_may_only_read_open_a_store(s3_endpoint: str) -> None:
    """Restoring needs no right to write; writing without it is refused with S3's word for it."""

    def answer(request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if request.command in ("PUT", "POST", "DELETE"):
            return 403, {}, b"<Error><Code>AccessDenied</Code></Error>"
        return forward(s3_endpoint, request, body)

    prefix = _prefix()
    S3Store("conformance", prefix, _options(s3_endpoint)).put("a", b"1")
    with answering(answer) as endpoint:
        store = S3Store("conformance", prefix, _options(endpoint))
        assert not store.capabilities.atomic_create
        assert store.get("a") == b"1"
        with pytest.raises(UnavailableError, match="HTTP 403 AccessDenied") as caught:
            store.put("b", b"2")
        assert not caught.value.transient
        with pytest.raises(NotFoundError):
            store.get("b")


def test_missing_bucket_is_told_at_opening() -> None:
    """A bucket that is not there is no empty store."""
    answer = b"<Error><Code>NoSuchBucket</Code></Error>"
    with (
        answering(lambda _request, _body: (404, {}, answer)) as endpoint,
        pytest.raises(UnavailableError, match="s3://missing/p: list failed: HTTP 404") as caught,
    ):
        S3Store("missing", "p", _options(endpoint))
    assert caught.value.hint is not None
    assert "Create the bucket" in caught.value.hint


def test_bucket_that_vanishes_is_not_a_missing_object(s3_endpoint: str) -> None:
    """Reading from a bucket deleted since opening fails, and does not say "no such object"."""
    vanished = threading.Event()

    def answer(request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if vanished.is_set():
            return 404, {}, b"<Error><Code>NoSuchBucket</Code></Error>"
        return forward(s3_endpoint, request, body)

    with answering(answer) as endpoint:
        store = S3Store("conformance", _prefix(), _options(endpoint))
        vanished.set()
        with pytest.raises(UnavailableError, match="get failed: HTTP 404 NoSuchBucket"):
            store.get("a")
        with pytest.raises(UnavailableError, match="put failed: HTTP 404 NoSuchBucket"):
            store.put("a", b"")
        with pytest.raises(UnavailableError, match="list failed: HTTP 404 NoSuchBucket"):
            list(store.list(""))


def test_secret_and_answer_stay_out_of_messages() -> None:
    """An endpoint that echoes what it was told cannot put it into our message."""

    def echo(_request: BaseHTTPRequestHandler, _body: bytes) -> tuple[int, dict[str, str], bytes]:
        return 403, {}, f"<Error><Code>{SECRET}</Code>{SECRET}</Error>".encode()

    with answering(echo) as endpoint, pytest.raises(UnavailableError) as caught:
        S3Store("conformance", "p", _options(endpoint))
    assert str(caught.value) == "s3://conformance/p: list failed: HTTP 403"
    assert SECRET not in f"{caught.value!r} {caught.value.hint}"
    assert SECRET not in repr(_options("http://here")) + str(_options("http://here"))


@pytest.mark.parametrize(("status", "transient"), [(400, False), (403, False), (503, True)])
def test_refusals_say_whether_trying_again_may_help(status: int, transient: bool) -> None:
    """Only an endpoint's own trouble is worth another try; every refusal carries a hint."""
    with (
        answering(lambda _request, _body: (status, {}, b"")) as endpoint,
        pytest.raises(UnavailableError, match=f"HTTP {status}") as caught,
    ):
        S3Store("conformance", "p", _options(endpoint), retry_s=0.2)
    assert caught.value.transient is transient
    assert caught.value.hint


def test_unreachable_endpoint_is_unavailable() -> None:
    """A port that nobody listens on is no answer, and trying again may help."""
    with answering(lambda _request, _body: (200, {}, b"")) as endpoint:
        pass
    with pytest.raises(UnavailableError, match="no answer") as caught:
        S3Store("conformance", "p", _options(endpoint), retry_s=0.2)
    assert caught.value.transient


def test_lost_acknowledgement_is_no_conflict(s3_endpoint: str) -> None:
    """A put that was stored but answered 500 succeeds when obstore repeats it."""
    lost = threading.Event()

    def answer(request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        reply = forward(s3_endpoint, request, body)
        if request.path.endswith("/lost") and request.command == "PUT" and not lost.is_set():
            lost.set()
            return 500, {}, b""
        return reply

    with answering(answer) as endpoint:
        store = S3Store("conformance", _prefix(), _options(endpoint))
        store.put("lost", b"content")
        assert lost.is_set()
        assert store.get("lost") == b"content"


@pytest.mark.parametrize(
    "options",
    [
        StoreOptions(endpoint="nonsense", access_key="a", secret_key=SECRET),
        StoreOptions(endpoint="http://127.0.0.1:1", access_key="a", secret_key=SECRET),
        StoreOptions(endpoint=f"https://a:{SECRET}@127.0.0.1:1", access_key="a", secret_key=SECRET),
        StoreOptions(endpoint="https://127.0.0.1:1", access_key="a"),
        StoreOptions(endpoint="https://127.0.0.1:1", secret_key=SECRET),
    ],
)
def test_options_that_cannot_work_are_refused(options: StoreOptions) -> None:
    """A malformed or plain-text endpoint, and half a pair of keys, are told before connecting."""
    with pytest.raises(UsageError) as caught:
        S3Store("conformance", "p", options)
    assert caught.value.hint
    assert SECRET not in f"{caught.value} {caught.value.hint}"
