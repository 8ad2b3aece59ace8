"""The control file, global/pg_control (src/include/catalog/pg_control.h, PostgreSQL 15 to 18).

Offsets are those of 64-bit little-endian machines, on which all of these versions agree up to the
checksum version; PostgreSQL 18 added one byte behind it.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from processpilot.errors import ChecksumError, NotFoundError, RefusedError, UnavailableError
from processpilot.postgres.lsn import Lsn

SUPPORTED_MAJORS = (15, 16, 17, 18)
CONTROL_PATH = "global/pg_control"

# pg_control_version and the offset of the CRC that covers everything before it.
_CRC_OFFSETS = {1300: 288, 1800: 292}
_READ_ATTEMPTS = 20
_READ_PAUSE_S = 0.02


class ClusterState(IntEnum):
    """DBState: what the server was doing when it last wrote the file."""

    STARTUP = 0
    SHUT_DOWN = 1
    SHUT_DOWN_IN_RECOVERY = 2
    SHUTTING_DOWN = 3
    IN_CRASH_RECOVERY = 4
    IN_ARCHIVE_RECOVERY = 5
    IN_PRODUCTION = 6


@dataclass(frozen=True, slots=True)
class ControlData:
    """What the control file says of its cluster."""

    system_identifier: int
    control_version: int
    catalog_version: int
    state: ClusterState
    checkpoint: Lsn
    redo: Lsn
    timeline: int
    minimum_recovery_end: Lsn
    block_bytes: int
    wal_segment_bytes: int
    relation_segment_blocks: int
    data_checksums: bool


def parse_control(data: bytes) -> ControlData:
    """Return the content of a control file; ChecksumError when its CRC does not hold."""
    if len(data) < 296:
        raise ChecksumError(f"the control file has {len(data)} bytes", place=CONTROL_PATH)
    identifier, version, catalog, state = struct.unpack_from("<QIII", data, 0)
    crc_offset = _CRC_OFFSETS.get(version)
    if crc_offset is None:
        known = ", ".join(str(v) for v in _CRC_OFFSETS)
        raise RefusedError(f"the control file has version {version}, known are {known}")
    (stored,) = struct.unpack_from("<I", data, crc_offset)
    if crc32c(data[:crc_offset]) != stored:
        raise ChecksumError("the control file's CRC is wrong", place=CONTROL_PATH)
    checkpoint, redo, timeline = struct.unpack_from("<QQI", data, 32)
    (minimum,) = struct.unpack_from("<Q", data, 136)
    block, relation, _, segment = struct.unpack_from("<IIII", data, 216)
    (checksum_version,) = struct.unpack_from("<I", data, 252)
    return ControlData(
        identifier,
        version,
        catalog,
        ClusterState(state),
        Lsn(checkpoint),
        Lsn(redo),
        timeline,
        Lsn(minimum),
        block,
        segment,
        relation,
        checksum_version != 0,
    )


def read_control(data_dir: Path) -> ControlData:
    """Return the control file of a data directory, read again while a server is writing it."""
    return parse_control(read_control_file(data_dir))


def read_control_file(data_dir: Path) -> bytes:
    """Return the control file's bytes once its CRC holds: a server may be writing it.

    ChecksumError when it never does, NotFoundError when there is no such file.
    """
    path = data_dir / CONTROL_PATH
    for attempt in range(_READ_ATTEMPTS):
        try:
            data = path.read_bytes()
            parse_control(data)
        except FileNotFoundError as error:
            raise NotFoundError(f"{data_dir} holds no {CONTROL_PATH}") from error
        except OSError as error:
            raise UnavailableError(f"cannot read {path}: {error.strerror}") from error
        except ChecksumError:
            if attempt == _READ_ATTEMPTS - 1:
                raise
            time.sleep(_READ_PAUSE_S)
        else:
            return data
    raise AssertionError("unreachable")


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE = _crc_table()


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of `data`."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF
