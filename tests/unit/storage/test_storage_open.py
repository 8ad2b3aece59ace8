"""Which addresses name a store, and which are refused before anything is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from processpilot.errors import UnavailableError, UsageError
from processpilot.storage.open import StoreOptions, open_store

NOWHERE = StoreOptions(endpoint="http://127.0.0.1:1", access_key="a", secret_key="b")


@pytest.mark.parametrize("form", ["{}", "file://{}", "file:{}"])
def test_a_folder_opens_by_path_or_address(tmp_path: Path, form: str) -> None:
    """A path and a file address of the same folder open the same store."""
    root = tmp_path / "a store"
    address = form.format(root if form == "{}" else str(root).replace(" ", "%20"))
    store = open_store(address, StoreOptions(), create=True)
    store.put("a", b"1")
    assert store.location == str(root)
    assert (root / "a").read_bytes() == b"1"
    assert store.capabilities.local_path


def test_a_folder_is_made_only_when_asked(tmp_path: Path) -> None:
    """Opening a folder that is not there fails and leaves nothing, unless it is to be made."""
    for address in (str(tmp_path / "new"), f"file://{tmp_path}/new"):
        with pytest.raises(UnavailableError, match="is not there") as caught:
            open_store(address, StoreOptions())
        assert caught.value.hint
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("url", ["s3://bucket/some/prefix", "s3://bucket", "s3://bucket/"])
def test_an_s3_address_reaches_the_s3_driver(url: str) -> None:
    """An s3 address with a bucket goes to the driver, whose own check refuses plain http here."""
    with pytest.raises(UsageError, match="is not encrypted"):
        open_store(url, NOWHERE)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3:/bucket/prefix",
        "s3://",
        "s3:///prefix",
        "s3://B/prefix",
        "s3://bucket/a//b",
        "s3://bucket/../b",
        "s3://bucket/a?versionId=1",
        "s3://bucket/a#b",
        "s3://[bucket/a",
        "S3://bucket/a",
        "file://",
        "file:relative",
        "file://host/folder",
        "file:///folder?a",
        "gs://bucket/prefix",
        "https://bucket.example/prefix",
        "ftp:folder",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    """Anything else is refused with what to write instead, and never becomes a folder."""
    with pytest.raises(UsageError) as caught:
        open_store(url, NOWHERE, create=True)
    assert url in caught.value.message or "object name" in caught.value.message
    assert not Path(url.partition("/")[0] or "none").exists()


def test_keys_in_an_address_are_refused_and_not_repeated() -> None:
    """Keys written into the address do not reach the message."""
    with pytest.raises(UsageError) as caught:
        open_store("s3://access:kept-to-ourselves@bucket/prefix", NOWHERE)
    assert "kept-to-ourselves" not in f"{caught.value} {caught.value.hint}"


def test_options_hide_their_keys() -> None:
    """Printing options shows neither key."""
    shown = repr(StoreOptions(access_key="who-it-is", secret_key="kept-to-ourselves"))
    assert "who-it-is" not in shown
    assert "kept-to-ourselves" not in shown
