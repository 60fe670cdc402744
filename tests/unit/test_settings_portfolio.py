"""Feeders, links, blocked times, products and awards of the operator's file: what they mean, and what is refused where."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.test_settings import GOOD, place_of, problems, write
from vpp_gateway.compose_capacity import capacity_policy
from vpp_gateway.domain.fleet import Feeder, FeederId
from vpp_gateway.domain.instruction import DeviceId
from vpp_gateway.product_profile import load_products
from vpp_gateway.settings import Settings, fleet, load_settings
from vpp_gateway.yaml_source import InvalidFile

SITE = "        efficiency: 0.95\n"
MORE = """\
        efficiency: 0.95
        response_s: 1.5
        ramp_kw_per_s: 500
        wear_cost: 6.5
    feeders:
      - {id: east, devices: [b1], import_max_kw: 900, export_max_kw: 800, load_min_kw: 10, load_max_kw: 50}
    blocked:
      - {since: 2026-12-24T09:00+09:00, until: 2026-12-24T17:00+09:00, why: service}
      - {devices: [b1], days: [sat, sun], start: "22:00", end: "06:00"}
"""
CAPACITY = """\
capacity:
  products: [jp-eprx-tertiary-2]
  confidence: 0.95
  awards:
    - product: jp-eprx-secondary-2
      area: tokyo
      direction: down
      quantity_kw: 500
      since: 2026-12-24T09:00+09:00
      until: 2026-12-24T09:30+09:00
"""
LINKS = """\
links:
  - {from_site: tokyo-1, to_site: kanagawa-1, max_kw: 250}
  - {from_site: kanagawa-1, to_site: tokyo-1, max_kw: 0}
"""
FULL = GOOD.replace(SITE, MORE, 1) + CAPACITY + LINKS


def loaded(folder: Path, content: str = FULL) -> Settings:
    return load_settings(write(folder, content), files=False)


def test_the_full_file_is_good_and_becomes_watts_and_utc(tmp_path: Path) -> None:
    site, other = fleet(loaded(tmp_path)).sites
    device = DeviceId("b1")
    assert site.feeders == (
        Feeder(
            id=FeederId("east"),
            devices=(device,),
            import_max_w=900e3,
            export_max_w=800e3,
            load_min_w=10e3,
            load_max_w=50e3,
        ),
    )
    assert (site.batteries[0].response_s, site.batteries[0].ramp_w_per_s) == (1.5, 500e3)
    assert (other.batteries[0].response_s, other.batteries[0].ramp_w_per_s) == (2.0, None)
    assert (site.batteries[0].wear_cost, other.batteries[0].wear_cost) == (6.5, 0.0)
    noon = 1798081200.0  # 2026-12-24 12:00 JST, a Thursday
    assert site.is_blocked(device, noon, noon) and not site.is_blocked(
        device, noon + 6 * 3600, noon + 7 * 3600
    )
    saturday = noon + 2 * 86400 + 10.5 * 3600
    assert site.is_blocked(device, saturday, saturday)
    assert not site.is_blocked(DeviceId("b9"), saturday, saturday)


def test_links_become_watts_in_one_direction_each(tmp_path: Path) -> None:
    one, other = fleet(loaded(tmp_path)).links
    assert (one.source, one.destination, one.max_w) == ("tokyo-1", "kanagawa-1", 250e3)
    assert (other.source, other.destination, other.max_w) == ("kanagawa-1", "tokyo-1", 0.0)


def test_awards_and_products_become_a_policy(tmp_path: Path) -> None:
    policy = capacity_policy(loaded(tmp_path))
    assert (policy.products, policy.confidence) == (("jp-eprx-tertiary-2",), 0.95)
    (award,) = policy.awards
    assert (award.w, award.end_at - award.start_at, award.direction) == (500e3, 1800.0, "down")
    assert policy.resolve(award.product, award.start_at) is not None
    assert len(capacity_policy(loaded(tmp_path, GOOD)).products) == len(load_products())


@pytest.mark.parametrize(
    ("old", "new", "mark", "code", "key"),
    [
        ("devices: [b1], import", "devices: [b2], import", "devices: [§b2]", "unknown_battery", "sites[0].feeders[0].devices[0]"),
        ("devices: [b1], import", "devices: [b1, b1], import", "[b1, §b1]", "two_feeders", "sites[0].feeders[0].devices[1]"),
        ("load_min_kw: 10", "load_min_kw: 60", "load_min_kw: §60", "load_order", "sites[0].feeders[0].load_min_kw"),
        ("import_max_kw: 900", "import_max_kw: -1", "import_max_kw: §-1", "flipped_sign", "sites[0].feeders[0].import_max_kw"),
        ("export_max_kw: 800, ", "", "§{id: east", "missing", "sites[0].feeders[0].export_max_kw"),
        ("to_site: kanagawa-1", "to_site: kanagawa-9", "to_site: §kanagawa-9", "unknown_site", "links[0].to_site"),
        ("to_site: kanagawa-1", "to_site: tokyo-1", "to_site: §tokyo-1", "link_to_itself", "links[0].to_site"),
        ("kanagawa-1, to_site: tokyo-1, max_kw: 0", "tokyo-1, to_site: kanagawa-1, max_kw: 0",
         "§{from_site: tokyo-1, to_site: kanagawa-1, max_kw: 0", "duplicate", "links[1]"),
        ("max_kw: 250", "max_kw: .nan", "max_kw: §.nan", "finite", "links[0].max_kw"),
        ("max_kw: 250", "max_kw: -1", "max_kw: §-1", "flipped_sign", "links[0].max_kw"),
        ("since: 2026-12-24T09:00+09:00, until", "since: 2026-12-24T09:00, until", "since: §2026-12-24T09:00, until", "moment",
         "sites[0].blocked[0].since"),
        ("until: 2026-12-24T17:00+09:00", "until: 2026-12-24T08:00+09:00", "until: §2026-12-24T08:00+09:00", "span_order",
         "sites[0].blocked[0].until"),
        (", until: 2026-12-24T17:00+09:00", "", "- §{since", "blocked_kind", "sites[0].blocked[0]"),
        ("days: [sat, sun], ", "", "- §{devices: [b1], start", "blocked_kind", "sites[0].blocked[1]"),
        ("days: [sat, sun]", "days: [sat, son]", "[sat, §son]", "choice", "sites[0].blocked[1].days[1]"),
        ('start: "22:00"', 'start: "22"', 'start: §"22"', "pattern", "sites[0].blocked[1].start"),
        ("devices: [b1], days", "devices: [b7], days", "devices: [§b7]", "unknown_battery", "sites[0].blocked[1].devices[0]"),
        ("area: tokyo\n      direction", "area: tokio\n      direction", "area: §tokio", "unknown_area", "capacity.awards[0].area"),
        ("until: 2026-12-24T09:30+09:00", "until: 2026-12-24T09:00+09:00", "until: §2026-12-24T09:00+09:00", "span_order",
         "capacity.awards[0].until"),
        ("quantity_kw: 500", "quantity_kw: .nan", "quantity_kw: §.nan", "finite", "capacity.awards[0].quantity_kw"),
        ("quantity_kw: 500", "quantity_kw: 0", "quantity_kw: §0", "range", "capacity.awards[0].quantity_kw"),
        ("confidence: 0.95", "confidence: 95", "confidence: §95", "percent", "capacity.confidence"),
        ("wear_cost: 6.5", "wear_cost: -1", "wear_cost: §-1", "range", "sites[0].batteries[0].wear_cost"),
        ("wear_cost: 6.5", "wear_cost: .nan", "wear_cost: §.nan", "finite", "sites[0].batteries[0].wear_cost"),
        ("wear_cost: 6.5", "wear_cost: .inf", "wear_cost: §.inf", "finite", "sites[0].batteries[0].wear_cost"),
        ("wear_cost: 6.5", "wear_cost: 1e7", "wear_cost: §1e7", "range", "sites[0].batteries[0].wear_cost"),
        ("wear_cost: 6.5", "wear_cost: cheap", "wear_cost: §cheap", "type.number", "sites[0].batteries[0].wear_cost"),
        ("ramp_kw_per_s: 500", "ramp_kw_per_s: 0", "ramp_kw_per_s: §0", "range", "sites[0].batteries[0].ramp_kw_per_s"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_where_it_stands(
    tmp_path: Path, old: str, new: str, mark: str, code: str, key: str
) -> None:
    assert old in FULL
    content = FULL.replace(old, new, 1)
    found = problems(tmp_path, content)
    assert [(p.key, p.code) for p in found] == [(key, f"problem.{code}")], [p.say() for p in found]
    assert (found[0].line, found[0].column) == place_of(content, mark)


def test_two_feeders_of_one_name_are_refused(tmp_path: Path) -> None:
    second = "      - {id: east, devices: [b2], import_max_kw: 1, export_max_kw: 1}\n"
    content = FULL.replace(
        "        energy_kwh: 3000\n", f"        energy_kwh: 3000\n    feeders:\n{second}", 1
    )
    assert [p.code for p in problems(tmp_path, content)] == ["problem.duplicate"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("products: [jp-eprx-tertiary-2]", "products: [jp-eprx-tertiary-3]",
         "capacity.products[0]: there is no products profile 'jp-eprx-tertiary-3'"),
        ("product: jp-eprx-secondary-2", "product: jp-eprx-secondary", "capacity.awards[0].product: there is no"),
        ("product: jp-eprx-secondary-2", "product: jp-eprx-primary",
         "capacity.awards[0].direction: is down; allowed: both"),
    ],
)  # fmt: skip
def test_what_the_file_points_at_must_be_there(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        load_settings(write(tmp_path, FULL.replace(old, new, 1)))
    assert said in str(caught.value)


def test_an_own_product_that_is_wrong_is_found_by_the_check(tmp_path: Path) -> None:
    (tmp_path / "own" / "products").mkdir(parents=True)
    (tmp_path / "own" / "products" / "mine.yaml").write_text("name: mine\n", "utf-8")
    content = GOOD.replace("  state_dir: state\n", "  state_dir: state\n  profile_dirs: [own]\n", 1)
    with pytest.raises(InvalidFile, match=r"mine\.yaml"):
        load_settings(write(tmp_path, content))


NAMES = [
    ("m1, profile: sunspec-meter", "m1, profile: nope", "sites[0].meter.profile"),
    ("m1, profile: sunspec-meter", "m1, profile: sunspec-700-battery", "sites[0].meter.profile"),
    ("program: generic-2.0b", "program: nope", "northbound[0].program"),
    ("products: [jp-eprx-tertiary-2]", "products: [foo]", "capacity.products[0]"),
    ("product: jp-eprx-secondary-2", "product: nope", "capacity.awards[0].product"),
    ("product: jp-eprx-secondary-2", "product: jp-eprx-primary", "capacity.awards[0].direction"),
]


@pytest.mark.parametrize(("old", "new", "key"), NAMES)
def test_names_of_shipped_profiles_need_no_files(tmp_path: Path, old: str, new: str, key: str) -> None:
    assert FULL.count(old) >= 1
    (found,) = problems(tmp_path, FULL.replace(old, new, 1))
    assert found.key == key and found.line > 0 and found.what("en") != found.what("ja")


@pytest.mark.parametrize(("old", "new", "key"), NAMES)
def test_names_may_be_in_folders_of_ones_own(tmp_path: Path, old: str, new: str, key: str) -> None:
    content = FULL.replace("  state_dir: state\n", "  state_dir: state\n  profile_dirs: [own]\n", 1)
    assert loaded(tmp_path, content.replace(old, new, 1)).gateway.profile_dirs, key
