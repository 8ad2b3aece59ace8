"""The exception tree: who can act on a failure, and what to do next.

    ProcessPilotError
      UsageError         the request is malformed
      RefusedError       doing it would be unsafe
      NotFoundError      no such backup, segment, run
      LockedError        someone else holds it
      UnavailableError   the outside world failed
      IntegrityError     stored bytes or history are wrong
        ChecksumError      bytes do not match their checksum or tag
        GapError           write-ahead log is missing

Branches tell who can act. Leaves carry fields, not only text. Codes are stable: the
command line and the documentation refer to them. Messages are lower case without a final
period and name the object and both values; a hint is a full sentence with the next command.
"""

from __future__ import annotations

from typing import ClassVar


class ProcessPilotError(Exception):
    """Any failure that a person is told about; `code` is stable across releases."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        """Make it picklable whatever its constructor asks for: workers report to their parent."""
        return _again, (type(self), self.message), self.__dict__


class UsageError(ProcessPilotError):
    """The request is malformed; asking differently helps."""

    code = "usage"


class RefusedError(ProcessPilotError):
    """Carrying out the request would be unsafe; nothing was changed."""

    code = "refused"


class NotFoundError(ProcessPilotError):
    """The named thing does not exist."""

    code = "not-found"


class LockedError(ProcessPilotError):
    """Another process holds what is needed."""

    code = "locked"


class UnavailableError(ProcessPilotError):
    """The outside world failed; `transient` says whether trying again may help."""

    code = "unavailable"

    def __init__(self, message: str, *, hint: str | None = None, transient: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.transient = transient


class IntegrityError(ProcessPilotError):
    """Stored bytes or history are wrong; never retried."""

    code = "integrity"


class ChecksumError(IntegrityError):
    """Bytes do not match their checksum or authentication tag.

    `place` names where they were read: an object name, or a file and block.
    """

    code = "checksum"

    def __init__(self, message: str, *, place: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.place = place


class GapError(IntegrityError):
    """Write-ahead log that recovery needs is missing.

    `segment` is the first missing file's name (24 hexadecimal digits), or where replay stopped.
    """

    code = "gap"

    def __init__(self, message: str, *, segment: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.segment = segment


def _again(kind: type[ProcessPilotError], message: str) -> ProcessPilotError:
    """Return an error of that kind; its fields are put back by the unpickler."""
    error = kind.__new__(kind)
    error.args = (message,)
    return error
