"""Titles, identifiers, repaired text, hidden secrets."""

from __future__ import annotations

import pytest

from processpilot.prose.words import (
    bare,
    mended,
    plain,
    script_without_secrets,
    slug,
    unique,
    without_secrets,
)


@pytest.mark.parametrize(
    ("damaged", "whole"),
    [
        ("ðŸŽ¯ Recovery Objectives", "🎯 Recovery Objectives"),
        ("âš¡ Quick Recovery", "⚡ Quick Recovery"),
        ("Ãœbung mit MÃ¼hlrad", "Übung mit Mühlrad"),
        ("complete âœ…", "complete ✅"),
        ("Übung", "Übung"),
        ("plain", "plain"),
    ],
)
def test_wrongly_decoded_text_is_repaired(damaged: str, whole: str) -> None:
    """UTF-8 that was read as Windows-1252 is what it was; good text stays as it is."""
    assert mended(damaged) == whole


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("**Incident Commander** (Primary: CTO)", "Incident Commander (Primary: CTO)"),
        ("run `npm run *`", "run npm run *"),
        ("[PHONE] [EMAIL] [SLACK]", "[PHONE] [EMAIL] [SLACK]"),
        ("see [the page](https://x.example/a)", "see the page (https://x.example/a)"),
        ("[mail](mailto:a@b.example)", "mail (a@b.example)"),
        ("a_b_c and _soft_ and snake_case", "a_b_c and soft and snake_case"),
        ("<FILE> and <br> and 2 &lt; 3", "<FILE> and and 2 < 3"),
        (r"\*not bold\*", "*not bold*"),
        ("~~old~~ new", "old new"),
    ],
)
def test_markup_is_taken_off_and_placeholders_stay(raw: str, text: str) -> None:
    """What people read is left; what they have to fill in stands as it stood."""
    assert plain(raw) == text


@pytest.mark.parametrize(
    ("title", "left"),
    [
        ("🎯 Recovery Objectives", "Recovery Objectives"),
        ("Scenario 1: Complete Database Failure", "Complete Database Failure"),
        ("4.1 Scenario A – Loss of it", "Loss of it"),
        ("1. Restore:", "Restore"),
        ("Drill 2: All", "All"),
        ("Scenario 7", "Scenario 7"),
        ("2024 review", "2024 review"),
        ("✅", ""),
    ],
)
def test_titles_lose_numbers_and_symbols(title: str, left: str) -> None:
    """Numbering and decoration are not part of a title; a year is."""
    assert bare(title) == left


def test_identifiers_are_made_of_words() -> None:
    """Umlauts are written out, symbols part words, and what has no letters gets the fallback."""
    assert slug("Übung für Größe", "x") == "uebung-fuer-groesse"
    assert slug("1. Restore & verify", "x") == "restore-verify"
    assert slug("日本語", "step") == "step"
    assert len(slug("long " * 40, "x")) <= 48


def test_a_taken_identifier_gets_a_number() -> None:
    """The second of two is -2, the third -3."""
    taken: set[str] = set()
    assert [unique("a", taken) for _ in range(3)] == ["a", "a-2", "a-3"]


def test_secrets_are_left_out_of_what_people_read() -> None:
    """Passwords in assignments and addresses become stars; variables and placeholders stay."""
    assert without_secrets("export PGPASSWORD=hunter2") == "export PGPASSWORD=***"
    assert without_secrets("postgresql://app:hunter2@db/x") == "postgresql://app:***@db/x"
    assert without_secrets("postgresql://app:$PW@db/x") == "postgresql://app:$PW@db/x"
    assert without_secrets("password: [TBD]") == "password: [TBD]"


def test_a_script_keeps_no_secret() -> None:
    """A secret variable's value is left out of a script; other variables stay."""
    assert script_without_secrets("A=1 API_TOKEN='x y' run") == "A=1 API_TOKEN=FILL-IN run"
