"""The sample application's rules that need no database: approvals, passwords, settings."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from processpilot.demo.application.api.app import STATUS_OF
from processpilot.demo.application.api.deadline import Deadline
from processpilot.demo.application.approvals import (
    RequestState,
    Step,
    StepState,
    Verdict,
    current_step,
    decide,
)
from processpilot.demo.application.errors import (
    ApplicationError,
    ConflictError,
    ForbiddenError,
    MailServerAwayError,
    SettingsError,
)
from processpilot.demo.application.passwords import hash_password, password_matches
from processpilot.demo.application.settings import Settings, read_secret_file, read_settings

ADDRESS = "postgresql://app:secret@127.0.0.1/app"
ROLES = ("manager", "finance", "admin")


def fresh(roles: list[str]) -> list[Step]:
    """Return the steps of a request nobody has decided yet."""
    return [Step(at, role, StepState.WAITING) for at, role in enumerate(roles, start=1)]


def applied(steps: list[Step], verdict: Verdict, roles: frozenset[str]) -> list[Step]:
    """Return the steps after a verdict, as the database stores them."""
    decision = decide(steps, verdict, roles)
    states = {decision.position: decision.step_state}
    states |= dict.fromkeys(decision.cancelled, StepState.CANCELLED)
    return [Step(s.position, s.role, states.get(s.position, s.state)) for s in steps]


@given(
    st.lists(st.sampled_from(ROLES), min_size=1, max_size=6),
    st.lists(st.tuples(st.sampled_from(list(Verdict)), st.sampled_from(ROLES)), max_size=12),
)
def test_steps_keep_their_order_through_any_verdicts(
    path: list[str], verdicts: list[tuple[Verdict, str]]
) -> None:
    """Approved steps come first, then at most one rejected, and cancelled ones only after it."""
    steps = fresh(path)
    for verdict, role in verdicts:
        turn = current_step(steps)
        if turn is None:
            with pytest.raises(ConflictError):
                decide(steps, verdict, frozenset({role}))
        elif turn.role != role:
            with pytest.raises(ForbiddenError):
                decide(steps, verdict, frozenset({role}))
        else:
            steps = applied(steps, verdict, frozenset({role}))
    shape = "".join(step.state.value[0] for step in steps)
    rest = shape.lstrip("a")
    assert rest in ("w" * len(rest), "r" + "c" * (len(rest) - 1))


@given(st.lists(st.sampled_from(ROLES), min_size=1, max_size=6))
def test_request_is_approved_by_the_last_step_only(path: list[str]) -> None:
    """Every approval but the last leaves the request pending."""
    steps = fresh(path)
    states = []
    for role in path:
        states.append(decide(steps, Verdict.APPROVE, frozenset({role})).request_state)
        steps = applied(steps, Verdict.APPROVE, frozenset({role}))
    assert states == [RequestState.PENDING] * (len(path) - 1) + [RequestState.APPROVED]


def test_password_matches_only_its_own_hash() -> None:
    """The right password fits, another does not, and equal passwords hash differently."""
    stored = hash_password("right")
    assert password_matches("right", stored)
    assert not password_matches("wrong", stored)
    assert hash_password("right") != stored
    assert "right" not in stored


def test_unknown_hash_scheme_matches_nothing() -> None:
    """A disabled account's placeholder lets nobody in."""
    assert not password_matches("", "!")
    assert not password_matches("!", "!")


def test_settings_come_from_exactly_one_place(tmp_path: Path) -> None:
    """Neither or both of the two variables is refused: nobody should guess which one counts."""
    secret = tmp_path / "address"
    secret.write_text(f"{ADDRESS}\n")
    secret.chmod(0o600)
    file = {"DATABASE_URL_FILE": str(secret)}
    assert read_settings(file) == Settings(ADDRESS)
    assert read_settings({"DATABASE_URL": ADDRESS, "PORT": "8123"}) == Settings(ADDRESS, 8123)
    for environment in ({}, {"DATABASE_URL": ADDRESS, **file}):
        with pytest.raises(SettingsError, match="exactly one"):
            read_settings(environment)


def test_settings_do_not_show_the_password() -> None:
    """Printing settings, or refusing an address, does not print a secret."""
    assert "secret" not in repr(Settings(ADDRESS))
    with pytest.raises(SettingsError) as refused:
        read_settings({"DATABASE_URL": "secret without a scheme"})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "²"])
def test_impossible_port_is_refused(port: str) -> None:
    """An unusable PORT is an error, never the default."""
    with pytest.raises(SettingsError, match="PORT"):
        read_settings({"DATABASE_URL": ADDRESS, "PORT": port})


def test_other_databases_are_refused() -> None:
    """Only PostgreSQL is supported, and the refusal says so at the start."""
    with pytest.raises(SettingsError, match="sqlite"):
        read_settings({"DATABASE_URL": "sqlite:///x"})


def test_secret_file_others_can_read_is_refused(tmp_path: Path) -> None:
    """A password the whole machine can read is not accepted."""
    secret = tmp_path / "password"
    secret.write_text("x")
    secret.chmod(0o640)
    with pytest.raises(SettingsError, match="0640"):
        read_secret_file(secret)
    with pytest.raises(SettingsError, match="absent"):
        read_secret_file(tmp_path / "absent")


def test_every_error_a_request_meets_has_a_status() -> None:
    """All of the tree but what no request meets, settings and mail, is in the table of statuses."""
    unmet = {SettingsError, MailServerAwayError}
    assert set(STATUS_OF) | unmet == set(ApplicationError.__subclasses__())


def test_deadline_answers_for_an_application_that_does_not() -> None:
    """The client hears 503; what the application says afterwards goes nowhere."""

    async def exchange() -> list[Message]:
        sent: list[Message] = []
        released = asyncio.Event()
        ended = asyncio.Event()

        async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
            await released.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            ended.set()

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        await Deadline(slow, seconds=0.01)({"type": "http"}, receive, send)
        released.set()
        await ended.wait()
        return sent

    sent = asyncio.run(exchange())
    assert [message.get("status") for message in sent] == [503, None]
