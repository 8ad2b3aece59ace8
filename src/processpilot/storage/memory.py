"""A dictionary as an object store: for tests, and gone with the process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from processpilot.errors import NotFoundError
from processpilot.storage.store import (
    Capabilities,
    ExistsError,
    ObjectInfo,
    check_name,
    short_object,
)


class MemoryStore:
    """Objects in this process's memory; `now` dates them."""
