"""`vpp-gateway capacity show` through the real control socket, over a gateway whose sites have been heard."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast, get_args

import jsonschema
import pytest
from click.testing import CliRunner, Result

from tests.repository import ROOT
from tests.unit.console_fake import FakeSource, ToyClock, World
from tests.unit.control_thread import answering
from tests.unit.envelopes import product
from tests.unit.fleets import SITES, fleet, instruction
from vpp_gateway.catalogue import TEXTS
from vpp_gateway.cli import root
from vpp_gateway.console.capacity import CapacityReply, LiveCapacity
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.delivery import DeliveryRecord, Stopwatch
from vpp_gateway.domain.fact import Concluded, Instructed, Started, Tick
from vpp_gateway.domain.instruction import Delta
from vpp_gateway.domain.product import MARKS, Award, Product, ProductName
from vpp_gateway.engine import Engine
from vpp_gateway.errors import ConfigError
from vpp_gateway.gateway import Gateway
from vpp_gateway.portfolio.asset import Limit
from vpp_gateway.portfolio.capacity import CapacityPolicy
from vpp_gateway.sim.link_plant import LinkPlant

NOW = 1_000_000 * 1800.0
"""2027-01-15 17:00 JST."""
SLOW = product(
    "slow", title="Slow reserve", title_ja="三次調整力", min_bid_w=10e3, step_w=1e3, price_cap=7.21, price_unit="JPY"
)  # fmt: skip
QUICK = product(
    "quick",
    directions="symmetric",
    trigger="frequency",
    sustain_s=300.0,
    verified="secondary",
    response_s=0.7,
)
LATER = ProductName("later")


def gateway(heard: bool = True) -> Gateway:
    """Three sites in one area, two batteries of 50 kW and 100 kWh each, at half charge."""
    made = Gateway(fleet(), Policy(), {})
    plant = LinkPlant(made.fleet, seed=1, load_w=400_000.0)
    made.step(Started(at=NOW - 60, epoch=1, version="t"), NOW - 60)
    for second in range(5 if heard else 0):
        at = NOW - 5 + second
        made.step(Tick(at=at, snapshot=plant.second(at)), at)
    return made


def policy(*awards: Award, products: tuple[Product, ...] = (SLOW, QUICK)) -> CapacityPolicy:
    known = {one.name: one for one in products}
    return CapacityPolicy(products=(*known, LATER), resolve=lambda name, _: known.get(name), awards=awards)


Serve = Callable[..., AbstractContextManager[Path]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    def serving(
        of: Gateway | None = None, read: Callable[[], CapacityPolicy] = policy
    ) -> AbstractContextManager[Path]:
        engine = SimpleNamespace(gateway=of or gateway(), clock=SimpleNamespace(utc=lambda: NOW))
        live = LiveCapacity(cast(Engine, engine), read, simulated=True)
        return answering(FakeSource(World(NOW), ToyClock(NOW)), tmp_path, None, live)

    yield serving


def show(folder: Path, *arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(
        root, ["capacity", "show", *arguments, "--state-dir", str(folder)]
    )


def document(folder: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    result = show(folder, *arguments, "--json")
    assert result.exit_code == code, result.output + result.stderr
    found = json.loads(result.output)
    assert isinstance(found, dict)
    return found


def test_the_document_is_as_published(serve: Serve) -> None:
    with serve() as folder:
        found = document(folder, "--hours", "2")
    schema = json.loads((ROOT / "docs" / "schemas" / "capacity.schema.json").read_text("utf-8"))
    jsonschema.validate(found, schema)
    CapacityReply.model_validate_json(json.dumps(found))
    rows = {(s["product"], s["area"], s["direction"]): s["blocks"] for s in found["series"]}
    assert set(rows) == {
        ("slow", "tokyo", "down"),
        ("slow", "tokyo", "up"),
        ("quick", "tokyo", "both"),
    }
    assert [block["start_at"] for block in rows["slow", "tokyo", "down"]] == [
        NOW + 1800 * i for i in range(4)
    ]
    assert {block["offer_w"] for block in rows["slow", "tokyo", "down"]} == {300_000.0}
    assert found["undefined"] == ["later"]


def test_it_looks_a_week_ahead_and_is_narrowed(serve: Serve) -> None:
    with serve() as folder:
        found = document(folder, "--product", "slow", "--area", "tokyo", "--direction", "up")
    ((series,), (about,)) = found["series"], found["products"]
    assert (len(series["blocks"]), series["direction"], about["name"]) == (336, "up", "slow")


def test_the_table_reads_in_both_languages(serve: Serve) -> None:
    with serve() as folder:
        english = show(folder, "--hours", "2", "--lang", "en").output
        japanese = show(folder, "--hours", "2", "--lang", "ja").output
    for said in (
        "What can be offered from 2027-01-15 17:00 to 2027-01-15 19:00 JST",
        "SIMULATED",
        "slow  Slow reserve: full in 5 min, held for 30 min",
        "bids from 10 kW, in steps of 1 kW; price cap 7.21 (JPY)",
        "quick  quick: full in 0.7 s, held for 5 min",
        "later does not exist in this time",
        "No history: 90% confidence needs 9",
        "01-15 17:00 – 01-15 19:00",
    ):
        assert said in english, english
    for said in (
        "slow  三次調整力: 応動 5 min 以内",
        "エリア",
        "余力 kW",
        "下げDR",
        "上下両方向",
        "実績なし",
    ):
        assert said in japanese, japanese
    assert english.count("300") >= 2


def test_what_is_sold_and_cannot_be_kept_is_told(serve: Serve) -> None:
    sold = Award(product=SLOW.name, area="tokyo", direction="down", w=350e3, start_at=NOW, end_at=NOW + 1800)
    with serve(read=lambda: policy(sold)) as folder:
        said = show(folder, "--hours", "1")
        (award,) = document(folder, "--hours", "1", code=6)["awards"]
    assert said.exit_code == 6
    assert "Award slow, tokyo, down, 350 kW from 2027-01-15 17:00: 50 kW of it cannot be kept" in (
        said.output.replace("\n", " ")
    )
    assert award["short_w"] == pytest.approx(50e3)


def test_devices_that_nobody_heard_of_count_for_nothing(serve: Serve) -> None:
    with serve(gateway(heard=False)) as folder:
        said = show(folder, "--hours", "1")
        found = document(folder, "--hours", "1", code=6)
    assert said.exit_code == 6 and "tokyo-1/b1 counts for nothing: no reading to rely on" in said.output
    assert {block["room_w"] for series in found["series"] for block in series["blocks"]} == {0.0}
    assert len(found["doubts"]) == 6


def test_past_deliveries_discount_the_offer(serve: Serve) -> None:
    made = gateway()
    for number in range(9):
        event = instruction(
            f"E{number}", demand=Delta(regulation_w=90e3), start_at=NOW - 900, duration_s=60.0
        )
        made.step(Instructed(at=NOW - 2000, instruction=event), NOW - 2000)
        record = DeliveryRecord(
            instruction=event.id, state="completed", opt="in", opt_reason=None,
            stopwatch=Stopwatch(received_at=NOW - 2000), target_regulation_w=90e3, samples=50, samples_within=25,
            delivered_regulation_w=72e3, by_tier_w=(), by_site_w=(), shortfall_w=18e3, why=(),
        )  # fmt: skip
        made.step(Concluded(at=NOW - 10, record=record), NOW - 10)
        made.timeline.withdraw(event.id)
    with serve(made) as folder:
        found = document(folder, "--product", "slow", "--hours", "1")
        said = show(folder, "--product", "slow", "--hours", "1").output
    down = next(series for series in found["series"] if series["direction"] == "down")
    assert (down["factor"], down["events"], down["events_needed"]) == (0.8, 9, 9)
    assert {block["offer_w"] for block in down["blocks"]} == {240_000.0}
    assert "tokyo, down: 90% of deliveries keep 80% of what is promised, by 9 past ones" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--product", "slwo"), "no product is called slwo; known: slow, quick, later"),
        (("--area", "kansai"), "no site lies in area kansai; known: tokyo"),
    ],
)
def test_a_question_about_nothing_is_refused(serve: Serve, arguments: tuple[str, ...], said: str) -> None:
    with serve() as folder:
        refused = show(folder, *arguments)
        japanese = show(folder, *arguments, "--lang", "ja")
    assert refused.exit_code == 1 and said in refused.stderr
    assert "あるもの" in japanese.stderr


@pytest.mark.parametrize("hours", ["nan", "inf", "-inf", "1000.0"])
def test_a_time_that_is_none_is_refused_with_the_range(serve: Serve, hours: str) -> None:
    with serve() as folder:
        refused = show(folder, "--hours", hours)
    assert refused.exit_code == 2 and f"{hours} is not in the range 0.5<=x<=168" in refused.stderr


def test_a_wrong_profile_costs_this_answer_alone(serve: Serve) -> None:
    def broken() -> CapacityPolicy:
        raise ConfigError("profiles/products/mine.yaml:3:1: name: is missing")

    with serve(read=broken) as folder:
        said = show(folder)
    assert said.exit_code == 1 and "mine.yaml:3:1" in said.stderr


def test_without_a_gateway_it_says_so(tmp_path: Path) -> None:
    assert show(tmp_path).exit_code == 4


def test_an_unheard_site_is_no_difference_to_the_others(serve: Serve) -> None:
    made = gateway()
    state = made.sites[SITES[0]]
    state.readable = {}
    with serve(made) as folder:
        found = document(folder, "--product", "slow", "--direction", "down", "--hours", "1", code=6)
    assert {block["room_w"] for block in found["series"][0]["blocks"]} == {200_000.0}


def test_every_limit_and_mark_has_its_word() -> None:
    assert {f"word.limit.{limit}" for limit in get_args(Limit)} <= set(TEXTS)
    assert {f"word.mark.{mark}" for mark in MARKS} <= set(TEXTS)
