"""The order of releases keeps ancestors first, whatever the history and the names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from processpilot.services.release_order import in_order, natural_key


@st.composite
def histories(draw: st.DrawFn) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Draw commits c0, c1, ... whose parents are earlier ones, some of them with names."""
    count = draw(st.integers(0, 12))
    parents: dict[str, list[str]] = {}
    for number in range(count):
        earlier = st.integers(0, number - 1).map("c{}".format) if number else st.nothing()
        parents[f"c{number}"] = draw(st.lists(earlier, max_size=2, unique=True) if number else
                                     st.just([]))  # fmt: skip
    named = draw(st.lists(st.sampled_from(sorted(parents)), unique=True)) if parents else []
    names = {commit: f"v{draw(st.integers(0, 30))}-{commit}" for commit in named}
    return names, parents


def ancestors(commit: str, parents: dict[str, list[str]]) -> set[str]:
    """Return everything a commit contains."""
    found: set[str] = set()
    waiting = [*parents[commit]]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += parents[one]
    return found


@given(histories())
def test_a_release_follows_all_that_it_contains(
    history: tuple[dict[str, str], dict[str, list[str]]],
) -> None:
    """Every named commit appears once, after each of its named ancestors."""
    names, parents = history
    order = [release.place for release in in_order(names, parents)]
    assert sorted(order) == sorted(names)
    for position, commit in enumerate(order):
        assert not ancestors(commit, parents) & set(order[position + 1 :])


@given(st.lists(st.text(), unique=True))
def test_without_history_names_decide(names: list[str]) -> None:
    """Commits that do not know each other are in the natural order of their names."""
    order = in_order({str(n): name for n, name in enumerate(names)}, {})
    assert [release.name for release in order] == sorted(names, key=natural_key)


@given(st.text(), st.integers(0, 10**6), st.integers(0, 10**6))
def test_numbers_compare_as_numbers(prefix: str, one: int, two: int) -> None:
    """v9 is before v10 whatever stands before the number."""
    head = f"{prefix}-"
    assert (natural_key(f"{head}{one}") < natural_key(f"{head}{two}")) == (one < two)
