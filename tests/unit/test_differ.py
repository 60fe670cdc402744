"""Where two decisions differ: one field, its path and both values."""

from __future__ import annotations

import json

import pytest

from vpp_gateway.whatif.differ import SHORT, first_field, is_decision


def line(**values: object) -> str:
    return json.dumps({"kind": "Plan", **values}, sort_keys=True)


@pytest.mark.parametrize(
    ("was", "now", "path", "values"),
    [
        ({"at": 1.0}, {"at": 2.0}, "at", ("1.0", "2.0")),
        ({"a": 1, "z": {"w": [1, 5]}}, {"a": 1, "z": {"w": [1, 6]}}, "z.w.1", ("5", "6")),
        ({"w": [1]}, {"w": [1, None]}, "w.1", ("", "null")),
        ({"w": {"b1": 3}}, {"w": {"b2": 3}}, "w.b1", ("3", "")),
        ({"w": []}, {"w": "東京"}, "w", ("[]", '"東京"')),
    ],
)
def test_the_first_field_is_named(
    was: dict[str, object], now: dict[str, object], path: str, values: tuple[str, str]
) -> None:
    found = first_field(line(**was), line(**now))
    assert found is not None
    assert (found.kind, found.path, (found.was, found.now)) == ("Plan", path, values)


def test_what_cannot_be_compared_field_by_field_is_not() -> None:
    assert first_field(line(at=1), json.dumps({"kind": "Solve", "at": 1})) is None
    assert first_field(line(at=1)[:-3], line(at=1)) is None
    assert first_field("", line(at=1)) is None
    assert first_field("order 7", "order 8") is None
    assert first_field(line(at=1), line(at=1)) is None


def test_a_large_value_is_cut() -> None:
    found = first_field(line(), line(w=["x" * 1000]))
    assert found is not None and len(found.now) == SHORT


def test_a_line_is_a_decision_or_is_not() -> None:
    assert is_decision(line(at=1))
    assert not any(map(is_decision, (line(at=1)[:-3], "", "[]", "{}", "7")))
