"""Product profiles: dated, sourced, refused by file, line and field; a composite has members and no figures."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import jsonschema
import pytest

from tests.repository import ROOT
from vpp_gateway.domain.product import worst
from vpp_gateway.product_profile import (
    SCHEMA_FILE,
    load_product,
    load_products,
    main,
    product_schema,
    resolve,
)
from vpp_gateway.profile import list_profiles, read_profile
from vpp_gateway.yaml_source import InvalidFile

GOOD = """\
name: mine
title: Mine
title_ja: 商品
market: ours
jurisdiction: JP
offset: "+09:00"
source:
  - {key: guide, document: The guide, page: "12", date: "2026-01"}
verified: secondary
directions:
  - {value: each, source: guide, verified: primary}
response_s:
  - {value: 900, until: 2026-04-01, source: guide, verified: secondary}
  - {value: 600, since: 2026-04-01, source: guide, verified: primary}
sustain_s:
  - {value: 1800, source: guide, verified: primary}
"""
APRIL = 1774969200.0
"""2026-04-01 00:00 JST."""


def own(folder: Path, content: str, name: str = "mine") -> tuple[Path, ...]:
    (folder / "products").mkdir(exist_ok=True)
    (folder / "products" / f"{name}.yaml").write_text(content, "utf-8")
    return (folder,)


def said(folder: Path, content: str) -> str:
    with pytest.raises(InvalidFile) as caught:
        load_product("mine", own(folder, content))
    return str(caught.value)


def test_a_figure_holds_on_its_days_of_delivery(tmp_path: Path) -> None:
    profile = load_product("mine", own(tmp_path, GOOD))
    before, after = (resolve(profile, {}, at) for at in (APRIL - 1, APRIL))
    assert before is not None and after is not None
    assert (before.response_s, before.verified) == (900.0, "secondary")
    assert (after.response_s, after.verified) == (600.0, "primary")
    assert (after.block_s, after.min_bid_w, after.recovery_s, after.price_cap) == (1800.0, 0.0, 0.0, None)


def test_a_product_without_a_needed_figure_does_not_exist_then(tmp_path: Path) -> None:
    late = GOOD.replace("{value: 1800, source", "{value: 1800, since: 2026-04-01, source")
    profile = load_product("mine", own(tmp_path, late))
    assert resolve(profile, {}, APRIL - 1) is None and resolve(profile, {}, APRIL) is not None


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("source: guide, verified: primary}\nresponse", "source: guied, verified: primary}\nresponse",
         "mine.yaml:11:27: directions[0].source: is guied, which stands under no `source` of this file; allowed: guide; "
         "did you mean 'guide'?"),
        ("since: 2026-04-01", "since: 2026-03-31", "mine.yaml:14:5: response_s[1]: holds on days on which the value in "
         "line 13 (response_s[0]) holds too"),
        ("until: 2026-04-01", "until: spring", "mine.yaml:13:25: response_s[0].until: is 'spring'; allowed: a date"),
        ("since: 2026-04-01,", "since: 2026-04-01, until: 2026-04-01,", "response_s[1].until: must end after it begins"),
        ("value: 1800", "value: .nan", "mine.yaml:16:13: sustain_s[0].value:"),
        ("value: 1800", "value: -1", "mine.yaml:16:13: sustain_s[0].value: is -1; allowed: >= 0"),
        ("verified: secondary\ndirections", "verified: primary\ndirections",
         "mine.yaml:9:11: verified: is primary, but the least checked figure of this file is secondary"),
        ("sustain_s", "sustian_s", "mine.yaml:15:1: sustian_s: unknown key"),
        ("name: mine", "name: yours", "mine.yaml:1:7: name:"),
        ("directions:\n  - {value: each, source: guide, verified: primary}\n", "", "directions: is missing; a product needs"),
        ("value: each", "value: sideways", "mine.yaml:11:13: directions[0].value: is 'sideways'"),
        ('offset: "+09:00"', "offset: JST", "offset:"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_by_file_line_and_field(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in GOOD
    assert expected in said(tmp_path, GOOD.replace(old, new))


COMPOSITE = """\
name: mine
title: Both
title_ja: 複合
market: ours
jurisdiction: JP
source:
  - {key: guide, document: The guide}
verified: unverified
members: [one, two]
"""


def test_a_composite_stands_for_its_members_as_long_as_the_longest(tmp_path: Path) -> None:
    own(tmp_path, GOOD.replace("name: mine", "name: one"), "one")
    two = GOOD.replace("name: mine", "name: two").replace("value: 1800", "value: 3600")
    own(tmp_path, two, "two")
    known = load_products(("mine",), own(tmp_path, COMPOSITE))
    whole = resolve(known["mine"], known, APRIL)
    assert whole is not None
    assert [(m.name, m.sustain_s) for m in whole.members] == [("one", 1800.0), ("two", 3600.0)]
    assert (whole.sustain_s, whole.response_s, whole.verified) == (3600.0, 600.0, "unverified")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[one, two]", "[one, one]", "members: a composite has at least two different members"),
        ("[one, two]", "[one, tow]", "mine.yaml:9:16: members[1]: there is no products profile 'tow'"),
        ("[one, two]", "[one, mine]", "members[1]: a member of a composite cannot be a composite itself"),
        ("[one, two]\n", "[one, two]\nresponse_s:\n  - {value: 1, source: guide, verified: primary}\n",
         "mine.yaml:11:3: response_s: a composite takes this from its members"),
    ],
)  # fmt: skip
def test_a_composite_is_of_products_and_has_no_figures(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    for name in ("one", "two"):
        own(tmp_path, GOOD.replace("name: mine", f"name: {name}"), name)
    with pytest.raises(InvalidFile) as caught:
        load_products(("mine",), own(tmp_path, COMPOSITE.replace(old, new)))
    assert expected in str(caught.value)


# --- what is shipped -------------------------------------------------------------------------------------------------


def test_every_shipped_product_loads_and_no_figure_is_better_than_its_source() -> None:
    known = load_products()
    assert len(known) >= 16
    assert {
        f"jp-eprx-{name}" for name in ("primary", "secondary-1", "secondary-2", "tertiary-1", "tertiary-2")
    } <= set(known)
    for name in known:
        plain = read_profile("products", name).plain
        if not plain.get("members"):
            assert any(row.get("source") == "memory" for row in _facts(plain)), name
        for row in _facts(plain):
            assert row["source"] != "memory" or row["verified"] == "unverified", name
            assert row["verified"] != "primary" or row["source"] == "outline", name


def _facts(plain: dict[str, object]) -> list[dict[str, object]]:
    lists = [value for value in plain.values() if isinstance(value, list)]
    return [row for value in lists for row in value if isinstance(row, dict) and "value" in row]


@pytest.mark.parametrize(
    ("name", "at", "cap"),
    [
        ("jp-eprx-primary", "2026-03-13", 19.51),
        ("jp-eprx-primary", "2026-03-14", 15.0),
        ("jp-eprx-composite", "2026-08-31", 15.0),
        ("jp-eprx-composite", "2026-09-01", 10.0),
        ("jp-eprx-tertiary-1", "2026-09-01", 7.21),
        ("jp-eprx-tertiary-2", "2026-09-01", None),
    ],
)
def test_price_caps_follow_the_day_of_delivery(name: str, at: str, cap: float | None) -> None:
    known = load_products()
    found = resolve(known[name], known, datetime.fromisoformat(f"{at}T12:00+09:00").timestamp())
    assert found is not None and found.price_cap == cap


def test_the_japanese_composite_is_of_the_four_that_may_be_together() -> None:
    known = load_products(("jp-eprx-composite",))
    found = resolve(known["jp-eprx-composite"], known, APRIL)
    assert found is not None
    assert [(m.name.removeprefix("jp-eprx-"), m.response_s, m.directions) for m in found.members] == [
        ("primary", 10.0, "symmetric"),
        ("secondary-1", 300.0, "each"),
        ("secondary-2", 300.0, "each"),
        ("tertiary-1", 900.0, "each"),
    ]


def test_the_schema_is_current_and_takes_what_is_shipped(tmp_path: Path) -> None:
    committed = json.loads((ROOT / "docs" / "schemas" / SCHEMA_FILE).read_text("utf-8"))
    assert committed == product_schema(), "run: python -m vpp_gateway.product_profile docs/schemas"
    validator = jsonschema.Draft202012Validator(committed)
    for name in list_profiles("products"):
        assert not list(validator.iter_errors(read_profile("products", name).plain)), name
    assert main([str(tmp_path)]) == 0 and (tmp_path / SCHEMA_FILE).exists()
    assert main([]) == 2


def test_the_worst_mark_counts() -> None:
    assert worst(("primary", "secondary")) == "secondary"
    assert worst(()) == "unverified"
