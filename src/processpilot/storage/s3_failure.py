"""What an S3 endpoint answered, read from obstore's text, which alone carries it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from processpilot.errors import UnavailableError

NOT_IMPLEMENTED = 501
_TOO_MANY = 429
_DENIED = (401, 403)
_MISPLACED = (301, 307, 400)
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,64})</Code>")
_KIND = re.compile(r"\bkind: ([A-Za-z]+)")


@dataclass(frozen=True, slots=True)
class Failure:
    """A refused or failed request: HTTP status, S3's error code, or neither when none came back.

    `kind` is obstore's word for a failed connection: Connect, Timeout, Request.
    """

    status: int | None
    code: str | None
    kind: str | None

    @classmethod
    def read(cls, text: str) -> Failure:
        """Return the failure that obstore's `text` describes."""
        status, code, kind = (pattern.search(text) for pattern in (_STATUS, _CODE, _KIND))
        return cls(
            int(status[1]) if status else None,
            code[1] if code else None,
            kind[1] if kind else None,
        )

    @property
    def bucket_missing(self) -> bool:
        """Whether the bucket, and not only the object, is missing."""
        return self.code == "NoSuchBucket"

    def error(self, place: str, act: str, *, keyless: bool) -> UnavailableError:
        """Return the error to raise; it quotes nothing the endpoint sent but codes."""
        transient = self.status is None or self.status >= 500 or self.status == _TOO_MANY
        return UnavailableError(
            f"{place}: {act} failed: {self._reason()}",
            hint=self._hint(keyless=keyless),
            transient=transient,
        )

    def _reason(self) -> str:
        if self.status is None:
            return f"no answer ({self.kind or 'unknown'})"
        return f"HTTP {self.status}" + (f" {self.code}" if self.code else "")

    def _hint(self, *, keyless: bool) -> str:
        if self.bucket_missing:
            return "Create the bucket, or correct repository.url in the plan."
        if keyless and (self.status is None or self.status in _DENIED):
            return "Set access_key and secret_key under repository.options in the plan."
        if self.status in _DENIED:
            return "Check the keys under repository.options and their rights on the bucket."
        if self.status in _MISPLACED:
            return "Check endpoint and region under repository.options in the plan."
        return "Check the network and repository.options.endpoint, then try again."
