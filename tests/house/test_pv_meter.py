"""A PV plant behind a meter that the site's agent reads over Modbus/TCP: what the centre knows of the sun is what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.house.day import play
from tests.house.house import House
from tests.house.world import PV_PEAK_W, SITES
from vpp_gateway.console.status import SiteView
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.journal.telemetry import TelemetryStore
from vpp_gateway.metering.pv_watch import MEAN_S
from vpp_gateway.profile import shipped_profiles

HERE = SITES[0]
METER = f"{HERE}-pv"
ACCURACY = 0.005
"""Class 0.2, and the sun's own course between two looks."""
SEEN_S = 2.0
"""What is known is no older."""
NAMED_S = 2 * MEAN_S + 5.0
"""A minute that holds nothing else."""


class Truth:
    """What the plant really gives, twice a second."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.seen: list[tuple[float, float]] = []

    async def run_for(self, seconds: float) -> None:
        for _ in range(int(2 * seconds)):
            await self._house.run_for(0.5)
            self.seen.append((self._house.clock.utc(), self._house.field.truth()[HERE]["pv_w"]))

    def assert_is(self, at: float, pv_w: float | None) -> None:
        """So much was told at `at` (UTC, Unix s): what the plant gave a moment before."""
        assert pv_w is not None, at
        lately = [w for seen_at, w in self.seen if at - SEEN_S <= seen_at <= at + 0.5]
        assert lately and (1 - ACCURACY) * min(lately) <= pv_w <= (1 + ACCURACY) * max(lately), (pv_w, lately)


def site(house: House) -> SiteView:
    return house.status().sites[0]


def stored(folder: Path) -> dict[float, float | None]:
    """`pv_w` of each second in the telemetry of a house that has ended."""
    with TelemetryStore.open(folder / "telemetry.db", tuple(SiteId(s) for s in SITES)) as store:
        return {at: row.get(f"{HERE}/pv_w") for at, row in store.seconds(0.0, 1e12)}


def wrong_way_round(folder: Path) -> dict[str, Any]:
    """Settings of a gateway with a profile that reads the meter with the other sign."""
    profile = YAML(typ="safe").load((shipped_profiles() / "devices/sunspec-meter.yaml").read_text())
    devices = folder / "profiles" / "devices"
    devices.mkdir(parents=True)
    YAML().dump({**profile, "name": "other-sign", "power_sign": -1}, devices / "other-sign.yaml")
    return {
        "name": "house",
        "simulated": True,
        "state_dir": folder,
        "profile_dirs": [folder / "profiles"],
    }


def test_the_centre_knows_what_the_plant_gives(tmp_path: Path) -> None:
    async def scene(house: House) -> Truth:
        truth = Truth(house)
        for _ in range(60):
            await truth.run_for(1)
            truth.assert_is(house.clock.utc(), site(house).pv_w)
        view = site(house)
        assert view.pv_meter is not None and view.pv_meter.health == "good" and view.pv_meter.import_w
        assert view.pv_meter.import_w < 0 and view.import_w is not None
        assert view.import_w == pytest.approx(house.field.truth()[HERE]["import_w"], rel=0.01)
        assert house.status().sites[1].pv_w is None and not house.alarms("pv_meter")
        return truth

    truth = play(tmp_path, scene, pv_profile="sunspec-meter")
    given = [w for _, w in truth.seen]
    assert min(given) > 0.2 * PV_PEAK_W and max(given) > 1.02 * min(given), "there is sun, and clouds"
    told = {at: w for at, w in stored(tmp_path).items() if truth.seen[0][0] + SEEN_S < at < truth.seen[-1][0]}
    assert len(told) > 50
    for at, pv_w in told.items():
        truth.assert_is(at, pv_w)


@pytest.mark.parametrize(("fault", "words"), [("nan", "import, W"), ("silent", "no answer")])
def test_a_pv_meter_that_answers_nonsense_or_nothing(tmp_path: Path, fault: str, words: str) -> None:
    async def scene(house: House) -> None:
        house.field.device(METER).fault(fault)
        await house.run_for(10)
        assert site(house).pv_w is None
        (alarm,) = house.alarms("pv_meter")
        assert METER in alarm.text and words in alarm.text
        assert site(house).health == "good" and not house.alarms("device")
        house.field.device(METER).heal(fault)
        truth = Truth(house)
        await truth.run_for(15)
        truth.assert_is(house.clock.utc(), site(house).pv_w)
        assert not house.alarms("pv_meter")

    play(tmp_path, scene, pv_profile="sunspec-meter")


def test_a_pv_meter_that_is_read_the_wrong_way_round(tmp_path: Path) -> None:
    """Its sun is never counted, not even as none; once the profile is put right it is."""

    async def scene(house: House) -> tuple[float, Truth]:
        await house.run_for(NAMED_S)
        view = site(house)
        assert view.pv_w is None and view.pv_meter is not None and view.pv_meter.health == "implausible"
        assert view.pv_meter.import_w is not None and view.pv_meter.import_w > 0.2 * PV_PEAK_W
        (alarm,) = house.alarms("pv_meter")
        assert METER in alarm.text and "wrong sign" in alarm.text and "符号" in alarm.text_ja
        assert view.health == "good" and not house.alarms("device")
        await put_right(house)
        righted_at, truth = house.clock.utc(), Truth(house)
        await truth.run_for(NAMED_S)
        truth.assert_is(house.clock.utc(), site(house).pv_w)
        assert not house.alarms("pv_meter")
        return righted_at, truth

    righted_at, truth = play(tmp_path, scene, pv_profile="other-sign", gateway=wrong_way_round(tmp_path))
    kept = stored(tmp_path)
    assert [w for at, w in kept.items() if at < righted_at and w is not None] == []
    after = {at: w for at, w in kept.items() if at > righted_at and w is not None}
    assert after
    for at, pv_w in after.items():
        truth.assert_is(at, pv_w)


async def put_right(house: House) -> None:
    """The operator names the right profile and starts the site's agent again."""
    first, *others = house.settings.sites
    assert first.pv_meter is not None
    right = first.pv_meter.model_copy(update={"profile": "sunspec-meter"})
    sites = (first.model_copy(update={"pv_meter": right}), *others)
    house.settings = house.settings.model_copy(update={"sites": sites})
    await house.kill_agent(SiteId(HERE))
    house.start_agent(SiteId(HERE))
