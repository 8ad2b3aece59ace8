"""Values of a plan's fields: what is understood, what is refused, and in which words."""

from __future__ import annotations

import pytest
from plan_text import load, plan_with
from pydantic import TypeAdapter, ValidationError

from processpilot.plan.fields import (
    Dsn,
    Duration,
    Identifier,
    Record,
    Schedule,
    SecretReference,
    SlotName,
    parse_duration,
)


class Sample(Record):
    """A record with one field."""

    count: int = 0


def refusal(kind: object, value: object) -> str:
    """Return why `value` is not of a kind of field."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    return str(caught.value.errors()[0]["msg"])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("4h", 14400.0),
        ("30m", 1800.0),
        ("15s", 15.0),
        ("250ms", 0.25),
        ("2d", 172800.0),
        ("1.5h", 5400.0),
        (" 10 s ", 10.0),
        ("0", 0.0),
        (0, 0.0),
        (0.0, 0.0),
        ("0h", 0.0),
    ],
)
def test_a_duration_reads_as_seconds(text: object, seconds: float) -> None:
    """Every unit has its length, and zero needs none."""
    assert TypeAdapter(Duration).validate_python(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value",
    ["", "h", "4", "4 hours", "-4h", "4h30m", "1e3s", "inf", "nan", "4H", "4h\n5m", "1.s", ".5s"],
)
def test_what_is_no_duration_is_refused_with_an_example(value: str) -> None:
    """Nothing is guessed from a text that is no number with a unit."""
    assert "is not a duration such as 4h, 30m or 15s" in refusal(Duration, value)


@pytest.mark.parametrize("value", [15, 1.5, -3])
def test_a_number_without_a_unit_is_refused_with_its_spellings(value: float) -> None:
    """A bare number could be seconds or minutes, so the message offers both."""
    with pytest.raises(ValueError, match=f"write {value}s, {value}m or {value}h"):
        parse_duration(value)


@pytest.mark.parametrize("value", [True, False])
def test_a_truth_value_is_no_duration(value: bool) -> None:
    """False is not taken for zero, although Python counts it as a number."""
    assert "is not a duration" in refusal(Duration, value)


@pytest.mark.parametrize("value", [None, [], {}])
def test_a_duration_is_a_text_or_number(value: object) -> None:
    """Lists, mappings and nothing are refused."""
    refusal(Duration, value)


@pytest.mark.parametrize("text", ["9" * 400 + "h", "3000000d", "3654d"])
def test_a_duration_ends_before_the_calendar_does(text: str) -> None:
    """Ten years at most: a run's forecast adds its steps up, and no calendar goes on for ever."""
    assert "is too long" in refusal(Duration, text)


@pytest.mark.parametrize("text", ["a", "api", "api-2", "a" * 63])
def test_identifiers_are_lower_case_words(text: str) -> None:
    """Letters, digits and hyphens, beginning with a letter, at most 63."""
    assert TypeAdapter(Identifier).validate_python(text) == text


@pytest.mark.parametrize("text", ["", "A", "1a", "-a", "a_b", "a.b", "a b", "a" * 64, "a\n", "ä"])
def test_other_identifiers_are_refused(text: str) -> None:
    """The message shows the text and what an identifier is made of."""
    assert f'"{text}" is not an identifier' in refusal(Identifier, text)


@pytest.mark.parametrize(("text", "good"), [("a_1", True), ("A", False), ("a-b", False)])
def test_slot_names_are_what_postgresql_accepts(text: str, good: bool) -> None:
    """Lower-case letters, digits and underscores (slot.c, ReplicationSlotValidateName)."""
    if good:
        assert TypeAdapter(SlotName).validate_python(text) == text
    else:
        assert "is not a slot name" in refusal(SlotName, text)
    assert "is not a slot name" in refusal(SlotName, "a" * 64)
    assert "is not a slot name" in refusal(SlotName, "")


def test_schedules_are_cron_expressions() -> None:
    """Five fields are accepted, words are not."""
    assert TypeAdapter(Schedule).validate_python("*/5 3 * * 1") == "*/5 3 * * 1"
    for text in ("daily", "61 * * * *", "* * *", ""):
        assert "is not a cron expression" in refusal(Schedule, text)


@pytest.mark.parametrize("text", ["file:key", "file:/a/b:c", "env:NAME"])
def test_secrets_are_named_by_reference(text: str) -> None:
    """A file or an environment variable may be named."""
    assert TypeAdapter(SecretReference).validate_python(text) == text


@pytest.mark.parametrize("text", ["hunter2", "file:", "env:", "FILE:x", "vault:x", ""])
def test_a_secret_itself_is_refused_and_not_repeated(text: str) -> None:
    """What stands in place of a reference may be the secret, so the message leaves it out."""
    message = refusal(SecretReference, text)
    assert "is not a reference such as file:PATH or env:NAME" in message
    assert not text or text not in message.replace("file:PATH", "").replace("env:NAME", "")


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://user:hunter2@localhost/db",
        "postgresql://localhost/db?user=u&password=hunter2",
        "host=localhost password=hunter2",
        "host=localhost password='hunter2'",
    ],
)
def test_a_password_in_a_connection_string_is_refused_and_not_repeated(dsn: str) -> None:
    """However it is spelled, the password is found, and the message does not show it."""
    message = refusal(Dsn, dsn)
    assert "must hold no password" in message
    assert "hunter2" not in message


def test_a_malformed_connection_string_is_refused_and_not_repeated() -> None:
    """What cannot be read may hold a password, so the message leaves it out."""
    message = refusal(Dsn, "postgresql://user:hunter2@[::1")
    assert "is not a connection string" in message
    assert "hunter2" not in message


def test_records_are_frozen_and_closed() -> None:
    """A plan that is loaded stays as it is, and a record takes no unknown key."""
    with pytest.raises(ValidationError):
        Sample(count=1).count = 2
    with pytest.raises(ValidationError):
        Sample.model_validate({"count": 1, "color": "red"})


def test_time_limits_above_zero_only() -> None:
    """A zero that a duration allows is refused where nothing could be done in no time."""
    with pytest.raises(Exception, match="greater than 0"):
        load(plan_with("tail_interval: 2s", "tail_interval: 0"))
