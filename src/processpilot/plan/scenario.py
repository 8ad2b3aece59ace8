"""Scenarios: the symptoms that name a disaster, and the steps that lead out of it."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from processpilot.plan.alarm import Severity
from processpilot.plan.condition import PROBE_NAME
from processpilot.plan.fields import Identifier, Record
from processpilot.plan.step import Step


class Symptom(Record):
    """A probe, as component.probe, whose failure (or, with `passes`, success) points here.

    One without a probe is in words only, for people: nothing begins by itself because of it.
    """

    probe: str | None = Field(None, pattern=PROBE_NAME)
    required: bool = False
    passes: bool = False
    means: str = ""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.probe is None and (not self.means or self.required or self.passes):
            raise ValueError("needs a probe, or just means: WORDS")
        return self


class Scenario(Record):
    """A kind of disaster and the way out."""

    id: Identifier
    title: str
    component: Identifier
    severity: Severity = Severity.SEV1
    symptoms: tuple[Symptom, ...] = Field(min_length=1)
    steps: tuple[Step, ...] = Field(min_length=1)

    @property
    def probes(self) -> tuple[Symptom, ...]:
        """The symptoms that a probe can see."""
        return tuple(symptom for symptom in self.symptoms if symptom.probe is not None)
