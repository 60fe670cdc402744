"""The published models: closed, honest, described, and the same in schema, file and TypeScript."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import jsonschema
import pytest
from pydantic import ValidationError

from tests.repository import ROOT
from tests.unit.console_fake import END_S, RECEIVED_S, START_S, World
from vpp_gateway.console.ask import Json
from vpp_gateway.console.readiness import readiness
from vpp_gateway.console.rollup import WORSE, severity, site_health, worst
from vpp_gateway.console.schemas import PUBLISHED, main, schema_text
from vpp_gateway.console.status import BatteryView, LinkView, MeterView, SiteView, Status
from vpp_gateway.console.typescript import typescript_text
from vpp_gateway.domain.reading import Health

BEGIN = 1_800_000_000.0
MOMENTS = (
    0.0,
    RECEIVED_S + 1,
    START_S - 1,
    START_S + 0.5,
    START_S + 4,
    START_S + 11,
    START_S + 300,
    END_S + 5,
)


def meter(health: Health = Health.GOOD, reason: str = "") -> MeterView:
    return MeterView(id="m", health=health, reason=reason, reason_ja="", age_s=0.5)


def battery(id_: str, health: Health = Health.GOOD, reason: str = "") -> BatteryView:
    return BatteryView(
        id=id_,
        health=health,
        reason=reason,
        reason_ja="",
        age_s=0.5,
        discharge_w=None,
        soc=None,
        setpoint_w=None,
        armed=False,
    )


def altered(document: Status, **changes: object) -> dict[str, object]:
    return {**document.model_dump(), **changes}


@pytest.mark.parametrize("moment", MOMENTS)
def test_picture_survives_its_json_and_fits_the_schema(moment: float) -> None:
    picture = World(BEGIN).picture(BEGIN + moment)
    text = picture.model_dump_json()
    assert Status.model_validate_json(text) == picture
    jsonschema.validate(json.loads(text), json.loads(schema_text(Status)))


def test_unknown_fields_nan_and_changes_are_refused() -> None:
    picture = World(BEGIN).picture(BEGIN)
    with pytest.raises(ValidationError, match="extra_forbidden"):
        Status.model_validate(altered(picture, power=1.0))
    with pytest.raises(ValidationError, match="finite_number"):
        Status.model_validate(altered(picture, at=float("nan")))
    with pytest.raises(ValidationError, match="literal_error"):
        Status.model_validate(altered(picture, schema_version=2))
    with pytest.raises(ValidationError, match="frozen_instance"):
        picture.at = 0.0  # type: ignore[misc]


@pytest.mark.parametrize("health", WORSE[1:])
def test_site_is_never_healthier_than_its_devices(health: Health) -> None:
    site = World(BEGIN, faulty=False).site(0, BEGIN)
    broken = battery("b", health, "why")
    with pytest.raises(ValidationError, match=r"b: why; use rollup\.site_health"):
        SiteView.model_validate({**site.model_dump(), "batteries": (broken.model_dump(),)})
    rolled, reason = site_health(linked=True, link_reason="", children=(site.meter, broken))
    seen = SiteView.model_validate(
        {**site.model_dump(), "batteries": (broken.model_dump(),), "health": rolled, "reason": reason}
    )
    assert (seen.health, seen.reason) == (health, "b: why")


def test_unlinked_site_is_lost() -> None:
    site = World(BEGIN, faulty=False).site(0, BEGIN)
    with pytest.raises(ValidationError, match="its agent is not linked"):
        SiteView.model_validate({**site.model_dump(), "linked": False})
    assert site_health(linked=False, link_reason="", children=(meter(),)) == (
        Health.LOST,
        "the site agent is not connected",
    )


def test_worst_child_speaks_and_the_first_of_equals() -> None:
    assert set(WORSE) == set(Health)
    assert worst(()) == (Health.GOOD, "")
    children = (
        meter(Health.STALE, "old"),
        battery("b1", Health.LOST, "cable"),
        battery("b2", Health.LOST, "fuse"),
        battery("b3", Health.REFUSING),
    )
    assert worst(children) == (Health.LOST, "b1: cable")
    assert worst(children[3:]) == (Health.REFUSING, "b3: refusing")
    assert [severity(health) for health in WORSE] == sorted(severity(health) for health in Health)


def relinked(picture: Status, **healths: str) -> Status:
    links = tuple(
        LinkView.model_validate({**link.model_dump(), "health": healths.get(link.name, link.health)})
        for link in picture.links
    )
    return picture.model_copy(update={"links": links})


def test_readiness_tells_reasons() -> None:
    picture = World(BEGIN, faulty=False).picture(BEGIN)
    answer = readiness(picture)
    assert answer.ready and not answer.reasons and not answer.warnings

    deaf = readiness(relinked(picture, tso="bad"))
    assert not deaf.ready
    assert deaf.reasons == (
        "no northbound connection is in service; tso: polls every 5 s; 2 messages refused",
    )
    assert readiness(relinked(picture, tso="warning")).ready

    forgetful = readiness(relinked(picture, journal="bad"))
    assert forgetful.reasons == ("journal: fsync 1.8 ms, chain intact",)

    empty = readiness(picture.model_copy(update={"sites": (), "plugins": ()}))
    assert empty.reasons == ("no linked site has a battery in service or a plug-in with an offer",)


def test_readiness_warns_of_what_does_not_prevent_delivery() -> None:
    answer = readiness(World(BEGIN, faulty=True).picture(BEGIN))
    assert answer.ready
    assert answer.warnings == (
        "site saitama-2: refusing, saitama-2-bess-2: switched to local control at the device",
    )


def properties(schema: Json) -> Iterator[tuple[str, Json]]:
    """Every named field anywhere in a schema."""
    if isinstance(schema, dict):
        found = schema.get("properties")
        if isinstance(found, dict):
            yield from found.items()
        for member in schema.values():
            yield from properties(member)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_field_is_described(name: str) -> None:
    fields = list(properties(json.loads(schema_text(PUBLISHED[name]))))
    assert fields
    assert [
        field for field, about in fields if not (isinstance(about, dict) and about.get("description"))
    ] == []


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name != "readiness.schema.json"])
def test_power_and_times_say_their_unit(name: str) -> None:
    unit = {"_w": r"\bW\b|discharge_w", "_s": r"\bs\b", "_at": "UTC|When"}
    for field, about in properties(json.loads(schema_text(PUBLISHED[name]))):
        suffix = next((ending for ending in unit if field.endswith(ending)), None)
        if suffix is not None and isinstance(about, dict):
            says = str(about["description"])
            # The stages say it once, for all of them, in their model's docstring.
            assert re.search(unit[suffix], says) or field.endswith("_at"), f"{field}: {says}"


@pytest.mark.parametrize("name", PUBLISHED)
def test_committed_schema_is_current(name: str) -> None:
    committed = (ROOT / "docs" / "schemas" / name).read_text(encoding="utf-8")
    assert committed == schema_text(PUBLISHED[name]), (
        "run: python -m vpp_gateway.console.schemas docs/schemas"
    )


def test_committed_typescript_is_current() -> None:
    path = ROOT / "vpp_gateway" / "console" / "ui" / "src" / "model.ts"
    assert path.read_text(encoding="utf-8") == typescript_text(), (
        "run: python -m vpp_gateway.console.typescript vpp_gateway/console/ui/src/model.ts"
    )


def test_typescript_says_null_lists_and_records() -> None:
    text = typescript_text()
    assert "  readonly target_regulation_w: number | null;" in text
    assert "  readonly sites: readonly SiteView[];" in text
    assert "  readonly by_tier_w: Readonly<Record<string, number>>;" in text
    assert "  readonly schema_version: 1;" in text
    assert 'export type Health = "good" | "stale" | "implausible" | "refusing" | "lost";' in text


def test_schema_command_wants_one_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
