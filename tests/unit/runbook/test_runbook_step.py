"""Steps as the journal keeps them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processpilot.runbook.step import StepOutcome, StepSpec, StepState

NAMES = st.text(max_size=20)
SPECS = st.builds(
    StepSpec,
    NAMES,
    NAMES,
    NAMES,
    st.none() | st.floats(0, 1e9),
    st.none() | NAMES,
    st.integers(0, 10),
)


@given(SPECS)
def test_a_step_comes_back_from_the_journal_as_it_was(spec: StepSpec) -> None:
    """Through JSON, every field included."""
    assert StepSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_a_step_written_before_the_optional_fields_is_read() -> None:
    """What is not there is absent, and not retried."""
    found = StepSpec.from_json({"id": "a", "title": "A", "action": "swap"})
    assert found == StepSpec("a", "A", "swap", None, None, 0)


@pytest.mark.parametrize("outcome", list(StepOutcome))
def test_only_what_is_settled_lets_the_run_go_on(outcome: StepOutcome) -> None:
    """Neither a failed step nor one of unknown end is behind us."""
    settled = StepState(StepSpec("a", "A", "swap"), outcome).is_settled
    assert settled == (outcome in (StepOutcome.PASSED, StepOutcome.SKIPPED, StepOutcome.NOT_NEEDED))
