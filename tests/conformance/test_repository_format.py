"""docs/repository-format.md, proved by a second reader that was made from it alone.

A repository that the product made from a real cluster is read by both; every file, directory and
link has to come out the same.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import stat
import struct
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pyrage
import pytest
import repository_reader
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from protected_site import MAJORS, SUPERUSER, Site, one_of
from repository_reader import DamagedError, Key, Reference, SecondReader, canonical, unpacked
from typer.testing import CliRunner

from processpilot.agent.keys import prove_key
from processpilot.backup.stream import temporary_stream
from processpilot.cli.key import read_key
from processpilot.cli.main import app
from processpilot.postgres.cluster import initialise
from processpilot.progress import silent
from processpilot.restore.files import FileWriter

SPECIFICATION = Path(__file__).parents[2] / "docs" / "repository-format.md"
FRAME = "28b52ffd200c61000070726f6365737370696c6f74"


@dataclass(frozen=True)
class Made:
    """A repository with two backups and a tail, and what the product reads from that tail."""

    site: Site
    folder: Path
    secret: str
    backup: str
    tail: str
    tail_bytes: bytes


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running, protected cluster of PostgreSQL 18, for all tests of this module."""
    if 18 not in MAJORS:
        pytest.skip("PostgreSQL 18 is not installed here")
    with tempfile.TemporaryDirectory(prefix="pp-test-") as sockets:
        site = Site(tmp_path_factory.mktemp("cluster"), one_of(18), Path(sockets))
        initialise(site.installation, site.data, superuser=SUPERUSER)
        site.start()
        try:
            site.protect()
            yield site
        finally:
            site.stop()


@pytest.fixture(scope="module")
def made(site: Site) -> Made:
    """Two backups of a cluster with every shape of file, and log behind them."""
    # A hole, more than one leaf, a name outside ASCII, an empty file, a link, a tablespace.
    with (site.data / "large").open("wb") as large:
        large.seek(64 << 20)
        large.write(os.urandom(100_000))
    (site.data / "größe").write_text("µ")
    (site.data / "empty").touch()
    (site.data / "empty").chmod(0o640)
    (site.data / "link").symlink_to("größe")
    space = site.folder / "space"
    space.mkdir(mode=0o700)
    os.chown(space, site.data.stat().st_uid, site.data.stat().st_gid)
    site.run(
        f"create tablespace elsewhere location '{space}'",
        "create table t tablespace elsewhere as select g as id from generate_series(1, 9000) g",
    )
    site.back_up()
    site.run("insert into t select generate_series(9001, 9100)")
    manifest = site.back_up()
    with closing(site.wired()) as wired:
        size = manifest.cluster.wal_segment_bytes
        with temporary_stream(
            wired.repository, wired.address, site.installation, size, "tail", wired.clock
        ) as stream:
            for number in range(100):
                site.run(f"insert into t select generate_series({number}, {number + 200})")
                stream.ship()
                tails = stream.archive.inventory().tails
                grown = [segment for segment, pieces in tails.items() if len(pieces) > 1]
                if grown:
                    break
            tail_bytes = stream.archive.read_tail(grown[0], tails[grown[0]])
    secret = (site.plan.parent / "processpilot-escrow.key").read_text().strip()
    folder = site.folder / "repository"
    return Made(site, folder, secret, str(manifest.backup_id), grown[0].name, tail_bytes)


def shape(root: Path) -> dict[str, tuple[str, int, int, bytes]]:
    """Every directory, file and link below `root`: its kind and mode, owner and content."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        if path.is_symlink():
            content = os.fsencode(path.readlink()).replace(os.fsencode(root), b"")
        name = path.relative_to(root).as_posix()
        found[name] = (stat.filemode(status.st_mode), status.st_uid, status.st_gid, content)
    return found


def test_second_reader_restores_what_the_product_restores(made: Made, tmp_path: Path) -> None:
    """Every file, directory and link of a backup comes out of both readers the same."""
    reader = SecondReader(made.folder, made.secret)
    manifest = reader.manifest(made.backup)
    (space,) = manifest["tablespaces"]
    assert not space["inside"]

    def places(name: str) -> tuple[Path, dict[int, Path]]:
        (tmp_path / name).mkdir()
        return tmp_path / name / "data", {space["oid"]: tmp_path / name / "space"}

    reader.restore(made.backup, *places("second"))
    with closing(made.site.wired()) as wired:
        described = wired.repository.manifests()[-1]
        FileWriter(wired.repository, described, *places("product"), silent).write()
    assert str(described.backup_id) == made.backup
    second, product = shape(tmp_path / "second"), shape(tmp_path / "product")
    assert second.keys() == product.keys()
    assert [path for path in product if second[path] != product[path]] == []
    files = [path for path, found in product.items() if found[0][0] == "-"]
    assert len(files) == manifest["file_count"] + len(["backup_label"])
    for name in ("large", "größe", "empty"):
        assert second[f"data/{name}"][3] == (made.site.data / name).read_bytes()


def test_indexes_list_what_packs_hold(made: Made) -> None:
    """Every pack is described by its own index from the first byte to the last."""
    reader = SecondReader(made.folder, made.secret)
    packs = reader.names("packs")
    assert len({pack.split("/")[1] for pack in packs}) == 2
    for pack in packs:
        for reference in reader.index(pack):
            reader.blob(reference)


def test_second_reader_reads_the_log(made: Made) -> None:
    """Whole segments are the server's own bytes, and a tail is what the product makes of it."""
    reader = SecondReader(made.folder, made.secret)
    manifest = reader.manifest(made.backup)
    size, timeline = manifest["cluster"]["wal_segment_bytes"], manifest["timeline"]
    high, low = (int(part, 16) for part in manifest["start_lsn"].split("/"))
    above, below = divmod((high << 32 | low) // size, (1 << 32) // size)
    segment = f"{timeline:08X}{above:08X}{below:08X}"
    whole = reader.content(f"wal/{timeline:08X}/{segment}")
    assert len(whole) == size
    assert whole == (made.site.data / "pg_wal" / segment).read_bytes()
    tail, reached = reader.tail(made.tail, size)
    assert 0 < reached < size
    assert tail == made.tail_bytes
    assert tail[:reached] == (made.site.data / "pg_wal" / made.tail).read_bytes()[:reached]
    assert not any(tail[reached:])


def test_key_wrapped_after_the_specification_opens_the_repository(
    made: Made, tmp_path: Path
) -> None:
    """The product opens and verifies a repository whose key was wrapped by hand."""
    key = SecondReader(made.folder, made.secret).key
    identity = pyrage.x25519.Identity.generate()
    public = identity.to_public()
    document: dict[str, object] = {
        "kind": "age",
        "label": "by-hand",
        "public": str(public),
        "wrapped": base64.b64encode(pyrage.encrypt(key.secret, [public])).decode(),
    }
    mac = key.keyed_hash("mac recipient", canonical(document)).hex()
    (made.folder / "keys" / "by-hand").write_bytes(canonical(document | {"mac": mac}))
    (tmp_path / "identity").write_text(str(identity))
    with closing(made.site.wired()) as wired:
        assert prove_key(wired, read_key(tmp_path / "identity")).backup_id == made.backup
    done = CliRunner().invoke(app, ["backup", "verify", "--plan", str(made.site.plan)])
    assert done.exit_code == 0, done.output


def test_changed_bytes_are_refused(made: Made, tmp_path: Path) -> None:
    """Settings, keys, objects and blobs that were altered or moved do not open."""
    reader = SecondReader(shutil.copytree(made.folder, tmp_path / "copy"), made.secret)
    backup = f"backups/{made.backup}"
    with pytest.raises(DamagedError):
        reader.key.object_content("backups/20000101T000000Z-00000000", reader.stored(backup))
    node = Reference(base64.b64decode(reader.manifest(made.backup)["directories"][0]["node"]))
    for name, offset in ((node.pack, node.field(44) + 5), (backup, -1)):
        data = bytearray(reader.stored(name))
        data[offset] ^= 1
        (reader.folder / name).write_bytes(data)
    with pytest.raises(DamagedError):
        reader.blob(node)
    with pytest.raises(DamagedError):
        reader.manifest(made.backup)
    for name, old, new in (
        ("keys/operator", b'"operator"', b'"other"'),
        ("config", b'"chunk_bytes":65536', b'"chunk_bytes":65537'),
    ):
        (reader.folder / name).write_bytes(reader.stored(name).replace(old, new))
    with pytest.raises(DamagedError):
        reader.check_wrapped_key("keys/operator")
    with pytest.raises(DamagedError):
        SecondReader(reader.folder, made.secret)


def test_specification_names_every_field(made: Made) -> None:
    """Whatever a real repository's documents hold is in the specification, by name."""
    reader = SecondReader(made.folder, made.secret)
    for name in reader.names("keys"):
        reader.check_wrapped_key(name)
    manifest = reader.manifest(made.backup)
    directory = manifest["directories"][0]
    node = json.loads(reader.blob(Reference(base64.b64decode(directory["node"]))))
    documents = [
        json.loads(reader.stored("config")),
        json.loads(reader.stored("keys/operator")),
        manifest,
        manifest["cluster"],
        manifest["cluster"]["collations"][0],
        manifest["tablespaces"][0],
        directory,
        node,
        *node["files"],
    ]
    text = SPECIFICATION.read_text()
    fields = {field for document in documents for field in document}
    assert len(fields) > 50
    assert {field for field in fields if not re.search(rf'[`"]{field}[`"]', text)} == set()


def test_second_reader_is_independent() -> None:
    """The second reader imports nothing of the product."""
    lines = Path(str(repository_reader.__file__)).read_text().splitlines()
    imported = [line for line in lines if re.match(r"\s*(import|from)\s", line)]
    assert imported
    assert not [line for line in imported if "processpilot" in line or "protected_site" in line]


def test_vectors_of_the_specification_hold() -> None:
    """The numbers printed under "Test vectors" are what the derivations give."""
    key = Key(bytes(range(16)), bytes(range(0x20, 0x40)))
    pack, frame = "packs/20261123T031500Z-9f31c2aa/00000000", bytes.fromhex(FRAME)
    nonce = (4).to_bytes(12, "little")
    blob = AESGCM(key.subkey(f"pack {pack}")).encrypt(nonce, frame, key.repository_id)
    wrapped = AESGCM(key.subkey("object wal/x")).encrypt(bytes(12), frame, key.repository_id)
    sealed = b"PPO1" + bytes(12) + wrapped
    config: dict[str, object] = {
        "chunk_bytes": 65536,
        "format": 1,
        "repository_id": key.repository_id.hex(),
        "system_identifier": "7321000000000000001",
    }
    name = key.keyed_hash("chunk names", b"processpilot")
    row = name + struct.pack("<6I", 1795403700, 0x9F31C2AA, 0, 4, len(blob), 12)
    assert Reference(row).pack == pack
    assert unpacked(key.opened(f"pack {pack}", nonce, blob), 12) == b"processpilot"
    assert key.object_content("wal/x", sealed) == b"processpilot"
    text = "".join(SPECIFICATION.read_text().split())
    for value in (
        key.subkey("chunk names"),
        frame,
        blob,
        sealed,
        row,
        key.keyed_hash("mac config", canonical(config)),
    ):
        assert value.hex() in text, value.hex()
    assert canonical(config).decode() in text
