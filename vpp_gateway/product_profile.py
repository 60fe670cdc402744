"""Products of balancing markets as data: `profiles/products/<name>.yaml`, every figure dated and with its source.

    response_s:
      - {value: 2700, until: 2025-03-14, source: press, verified: secondary}
      - {value: 3600, since: 2025-03-14, source: outline, verified: primary}

Products change by delivery date, so each figure is a list of values that hold one after the other, and a product is
resolved at the time of the delivery, never when it is loaded. A figure nobody has read in a document says so
(`unverified`), and whoever offers a quantity is told the worst mark among the figures it rests on.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from vpp_gateway.domain.product import MARKS, Directions, Mark, Product, ProductName, Trigger, worst
from vpp_gateway.plain import View
from vpp_gateway.profile import Source, Verified, list_profiles, missing_profile, read_profile
from vpp_gateway.yaml_source import Finding, InvalidFile
from vpp_gateway.yaml_validate import RULES, near, show, validate, wrong

F = TypeVar("F", bound="Dated")

_ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d")
SCHEMA_FILE = "product.schema.json"
MEMBERS_MIN = 2


def _day(found: str) -> str:
    try:
        date.fromisoformat(found)
    except ValueError:
        raise wrong("problem.day", found=show(found)) from None
    return found


Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=1e9)]
Day = Annotated[str, AfterValidator(_day), Field(json_schema_extra={"format": "date"})]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class NamedSource(Source):
    """A document, with the key that figures name it by."""

    key: Annotated[str, Field(min_length=1, max_length=40)]
    """Key of the document inside this file."""


class Dated(_Model):
    """What every fact of a product says of itself."""

    source: str
    """Key of the document it comes from."""
    verified: Verified
    """primary: read in the market's own document; secondary: told by somebody who read it; unverified: from memory."""
    since: Day | None = None
    """First day of delivery on which it holds, local date; without it, since ever."""
    until: Day | None = None
    """First day of delivery on which it does not hold any more; without it, until further notice."""


class Figure(Dated):
    """A number; its unit stands in the name of the field."""

    value: Number
    """The number."""


class Price(Dated):
    """A price cap."""

    value: Number
    """The price."""
    unit: Annotated[str, Field(min_length=1)]
    """Currency, and for what."""


class DirectionsFact(Dated):
    """In which directions a bid can be."""

    value: Directions
    """each = either of them; down = relieves the grid alone; up = takes more alone; symmetric = both with one quantity."""


class TriggerFact(Dated):
    """What calls it."""

    value: Trigger
    """setpoint, event or frequency."""


class PointFact(Dated):
    """Where delivery is judged."""

    value: Literal["pcc", "device"]
    """pcc = grid connection point, device = at the device."""


Figures = tuple[Figure, ...]


class ProductProfile(_Model):
    """One product. What is left out is not known, or does not exist."""

    name: str
    """Name of the file without .yaml."""
    title: Annotated[str, Field(min_length=1)]
    """What people call it, in English."""
    title_ja: Annotated[str, Field(min_length=1)]
    """What people call it, in Japanese."""
    market: Annotated[str, Field(min_length=1)]
    """Who runs the market."""
    jurisdiction: Annotated[str, Field(min_length=2)]
    """Country or grid area."""
    offset: Annotated[str, Field(pattern=r"^[+-](0\d|1[0-4]):[0-5]\d$")] = "+00:00"
    """Of the market's local time from UTC, for the dates of the figures."""
    source: Annotated[tuple[NamedSource, ...], Field(min_length=1)]
    """Documents that the facts come from."""
    verified: Verified
    """The worst mark in this file."""
    to_be_confirmed: dict[str, str] = Field(default_factory=dict)
    """Field -> what is not known about it; a note."""
    members: tuple[str, ...] = ()
    """Of a composite: names of the products it is made of; its quantity is the greatest of theirs."""
    directions: tuple[DirectionsFact, ...] = ()
    """In which directions a bid can be."""
    trigger: tuple[TriggerFact, ...] = ()
    """What calls it."""
    metering_point: tuple[PointFact, ...] = ()
    """Where delivery is judged."""
    response_s: Figures = ()
    """From the call to the full quantity, s."""
    sustain_s: Figures = ()
    """How long the full quantity must be held, s."""
    recovery_s: Figures = ()
    """Rest after a call, s."""
    notice_s: Figures = ()
    """How long before the start it is called, s."""
    block_s: Figures = ()
    """Length of the block that is bid for, s."""
    min_bid_kw: Figures = ()
    """Smallest bid, kW."""
    step_kw: Figures = ()
    """Bids are whole multiples of this, kW."""
    max_per_day: Figures = ()
    """Calls a day at most."""
    max_per_year: Figures = ()
    """Calls a year at most."""
    price_cap: tuple[Price, ...] = ()
    """Highest price that is accepted; none = there is no cap."""

    def sides(self) -> tuple[str, ...]:
        """Directions that an award of it can have, at any time: down, up, both."""
        if self.members:
            return ("down", "up", "both")
        words = {"each": ("down", "up"), "symmetric": ("both",), "down": ("down",), "up": ("up",)}
        return tuple(dict.fromkeys(side for fact in self.directions for side in words[fact.value]))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if list(rules(View(self.model_dump(mode="json", exclude_none=True)))):
            raise PydanticCustomError(RULES, "see the findings")
        return self


FACTS = (
    "directions", "trigger", "metering_point", "response_s", "sustain_s", "recovery_s", "notice_s", "block_s",
    "min_bid_kw", "step_kw", "max_per_day", "max_per_year", "price_cap",
)  # fmt: skip
NEEDED = ("directions", "response_s", "sustain_s")
"""Without these a quantity cannot be told."""


def rules(root: View) -> Iterator[Finding]:
    """What must agree inside one product: sources, marks, dates; a composite has members and no figures of its own."""
    keys = [key for row in root["source"].each() if (key := row["key"].text) is not None]
    found: list[str] = []
    for name in FACTS:
        rows = list(root[name].each())
        for row in rows:
            source, mark = row["source"], row["verified"].text
            found += [mark] if mark in MARKS else []
            if source.text is not None and source.text not in keys:
                values = (("found", source.text), ("allowed", ", ".join(keys) or "-"))
                yield Finding(
                    loc=source.loc, code="problem.unknown_source", values=values, near=near(source.text, keys)
                )
        yield from _overlaps(rows)
    members = list(root["members"].each())
    if members:
        yield from _composite(root, members)
    else:
        for name in NEEDED:
            if root[name].value is None or root[name].value == []:
                yield Finding(loc=(name,), code="problem.product_needs")
    said = root["verified"].text
    least = max(found, key=[*MARKS].index, default=said)  # type: ignore[arg-type]  # only marks are in it
    if said in MARKS and least in MARKS and not members and said != least:
        values = (("found", said), ("allowed", least))
        yield Finding(loc=("verified",), code="problem.product_mark", values=values)


def _overlaps(rows: Sequence[View]) -> Iterator[Finding]:
    """Values of one field hold one after the other."""
    spans = sorted(
        ((row["since"].text or "", row["until"].text or "9999", row) for row in rows if _dated(row)),
        key=lambda span: span[:2],
    )
    for since, until, row in spans:
        if since >= until:
            values = (("since", since), ("until", until))
            yield Finding(loc=row["until"].loc, code="problem.span_order", values=values)
    for (_, until, first), (since, _, second) in pairwise(spans):
        if since < until:
            yield Finding(loc=second.loc, code="problem.product_overlap", other=first.loc)


def _dated(row: View) -> bool:
    """Whether its days are days; what they are otherwise, the fields say themselves."""
    return all(_ISO_DAY.fullmatch(row[key].text or "2000-01-01") for key in ("since", "until"))


def _composite(root: View, members: Sequence[View]) -> Iterator[Finding]:
    if len({view.text for view in members}) < MEMBERS_MIN:
        yield Finding(loc=("members",), code="problem.product_members")
    for name in (*NEEDED, "recovery_s"):
        if root[name].value not in (None, []):
            yield Finding(loc=(name,), code="problem.product_own_figures")


def load_product(name: str, search: Sequence[Path] = ()) -> ProductProfile:
    """One product profile.

    Raises:
        InvalidFile: with every mistake of the file, or that there is no such file.
    """
    document = read_profile("products", name, search)
    findings = list(rules(View(document.plain)))
    called = document.plain.get("name", name)
    if called != name:
        values = (("found", str(called)), ("file", f"{name}.yaml"))
        findings.append(Finding(loc=("name",), code="problem.profile_renamed", values=values))
    for index, member in enumerate(View(document.plain)["members"].each()):
        missing = missing_profile("products", member.text or "", search)
        if missing is not None:
            findings.append(replace(missing, loc=("members", index)))
    return validate(document, ProductProfile, findings=findings)


def load_products(names: Sequence[str] = (), search: Sequence[Path] = ()) -> dict[str, ProductProfile]:
    """The products called `names`, all there are when empty, and the members of composites.

    Raises:
        InvalidFile: one of them is wrong, or a composite has a composite as member.
    """
    found: dict[str, ProductProfile] = {}
    for name in names or list_profiles("products", search):
        found[name] = load_product(name, search)
    for profile in list(found.values()):
        for index, member in enumerate(profile.members):
            found.setdefault(member, load_product(member, search))
            if found[member].members:
                document = read_profile("products", profile.name, search)
                finding = Finding(loc=("members", index), code="problem.product_nested")
                raise InvalidFile(document.problems([finding]))
    return found


def resolve(profile: ProductProfile, known: dict[str, ProductProfile], at: float) -> Product | None:
    """The product as it stands for a delivery at `at` (UTC, Unix s); None while a needed figure has no value then."""
    day = datetime.fromtimestamp(at, _zone(profile.offset)).date().isoformat()
    if profile.members:
        members = [resolve(known[name], known, at) for name in profile.members]
        whole = tuple(member for member in members if member is not None)
        return _together(profile, whole, _at(profile.price_cap, day)) if len(whole) == len(members) else None
    directions, trigger = _at(profile.directions, day), _at(profile.trigger, day)
    response, sustain = _at(profile.response_s, day), _at(profile.sustain_s, day)
    if directions is None or response is None or sustain is None:
        return None
    recovery, block = _at(profile.recovery_s, day), _at(profile.block_s, day)
    least, step, cap = _at(profile.min_bid_kw, day), _at(profile.step_kw, day), _at(profile.price_cap, day)
    used = (directions, trigger, response, sustain, recovery, block, least, step, cap)
    return Product(
        name=ProductName(profile.name),
        title=profile.title,
        title_ja=profile.title_ja,
        directions=directions.value,
        trigger="setpoint" if trigger is None else trigger.value,
        response_s=response.value,
        sustain_s=sustain.value,
        recovery_s=0.0 if recovery is None else recovery.value,
        block_s=1800.0 if block is None or block.value == 0 else block.value,
        min_bid_w=0.0 if least is None else 1000.0 * least.value,
        step_w=0.0 if step is None else 1000.0 * step.value,
        price_cap=None if cap is None else cap.value,
        price_unit="" if cap is None else cap.unit,
        verified=worst(tuple(_mark(fact) for fact in used if fact is not None)),
    )


def _together(profile: ProductProfile, members: tuple[Product, ...], cap: Price | None) -> Product:
    """A composite: its quantity stands for all members, so it must be held as long as the longest of them."""
    return Product(
        name=ProductName(profile.name),
        title=profile.title,
        title_ja=profile.title_ja,
        directions="each",
        trigger="setpoint",
        response_s=max(member.response_s for member in members),
        sustain_s=max(member.sustain_s for member in members),
        recovery_s=max(member.recovery_s for member in members),
        block_s=max(member.block_s for member in members),
        min_bid_w=max(member.min_bid_w for member in members),
        step_w=max(member.step_w for member in members),
        price_cap=None if cap is None else cap.value,
        price_unit="" if cap is None else cap.unit,
        verified=worst((profile.verified, *(member.verified for member in members))),
        members=members,
    )


def _at(facts: Sequence[F], day: str) -> F | None:
    """The one that holds on `day` (ISO date)."""
    return next((f for f in facts if (f.since or "") <= day < (f.until or "9999")), None)


def _mark(fact: Dated) -> Mark:
    return fact.verified


def _zone(offset: str) -> timezone:
    sign = -1 if offset.startswith("-") else 1
    hours, minutes = offset[1:].split(":")
    return timezone(sign * timedelta(hours=int(hours), minutes=int(minutes)))


def product_schema() -> dict[str, object]:
    """The JSON Schema (2020-12) of a product profile, for editors."""
    schema: dict[str, object] = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return schema | ProductProfile.model_json_schema() | {"title": "vpp-gateway product profile"}


def main(arguments: Sequence[str]) -> int:
    """Write `product.schema.json` into a folder; the exit code is 2 for a wrong command line."""
    if len(arguments) != 1:
        print("usage: python -m vpp_gateway.product_profile FOLDER", file=sys.stderr)
        return 2
    path = Path(arguments[0]) / SCHEMA_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(product_schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
