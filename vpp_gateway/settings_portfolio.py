"""The parts of the settings that say what may be promised: feeders, links, blocked times, products and awards."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vpp_gateway.domain.fleet import Blocked, Feeder, FeederId, SiteLink
from vpp_gateway.domain.instruction import DeviceId, SiteId
from vpp_gateway.settings_words import (
    FilePath,
    Identifier,
    Kw,
    Moment,
    Number,
    Offset,
    Seconds,
    Section,
    Share,
    Switch,
    Text,
    TimeOfDay,
    seconds_of,
    unix_of,
)

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class FeederSettings(Section):
    """One line inside a site, between the grid connection and some of its batteries. It has no meter of its own."""

    id: Identifier
    """Your name for it, unique in the whole file."""
    devices: Annotated[tuple[Identifier, ...], Field(min_length=1)]
    """Ids of the batteries behind it; each battery is on one feeder at most."""
    import_max_kw: Annotated[Kw, Field(ge=0)]
    """Most that may flow towards the devices, kW."""
    export_max_kw: Annotated[Kw, Field(ge=0)]
    """Most that may flow back, kW."""
    load_min_kw: Annotated[Kw, Field(ge=0)] = 0.0
    """What other things behind it take at least, kW: so much more can be discharged."""
    load_max_kw: Annotated[Kw, Field(ge=0)] = 0.0
    """What other things behind it take at most, kW: so much less can be charged."""


class LinkSettings(Section):
    """How much work may be moved from one site to another at a time; without it, what the grid connections carry."""

    from_site: Identifier
    """Id of the site that the work leaves."""
    to_site: Identifier
    """Id of the site that takes it over."""
    max_kw: Annotated[Kw, Field(ge=0)]
    """Most work that may be moved at a time, kW at the meter of the site it leaves; 0 = none."""


class BlockedSettings(Section):
    """A time at which batteries are left alone: once (`since`, `until`), or every week (`days`, `start`, `end`)."""

    devices: tuple[Identifier, ...] = ()
    """Ids of the batteries; empty = all of the site."""
    since: Moment | None = None
    """Once: begins then, for instance 2026-12-24T09:00+09:00."""
    until: Moment | None = None
    """Once: ends then."""
    days: tuple[Day, ...] = ()
    """Every week: on these days it begins (mon, tue, wed, thu, fri, sat, sun)."""
    start: TimeOfDay | None = None
    """Every week: local time of its beginning, HH:MM."""
    end: TimeOfDay | None = None
    """Every week: local time of its end; not after `start` means on the next day."""
    offset: Offset = "+09:00"
    """Of that local time from UTC; it knows no summer time."""
    why: Text = "blocked"
    """Why, for whoever reads it later."""


class DispatchSettings(Section):
    """How orders are carried out and measured."""

    baseline_window_s: Seconds = 300.0
    """Length of the undisturbed load just before an event whose mean is the baseline, s."""
    opt_in_at_least: Share = 0.9
    """Opt in when at least this share of the target can be held for the whole event (0..1)."""
    bridge_reserve: Share = 0.5
    """Share of battery power kept free for bridging and correction while workloads can carry the rest (0..1)."""
    prepare_lead_s: Seconds = 5.0
    """Seconds before an event's start at which workload shifts are planned and prepared."""
    replan_s: Seconds = 5.0
    """At most so many seconds between two plans of the workload tier during an event."""
    return_within_s: Annotated[Number, Field(ge=0, le=3600)] = 300.0
    """After an event, shifted work whose return would lift a site above its baseline waits for its turn, at most so many
    seconds; 0 = all of it returns at once."""
    hold_rebound: Switch = True
    """While shifted work comes back, batteries hold the import of its sites at their baseline."""


class HorizonSettings(Section):
    """The plan of the coming hour: who carries what, and what is kept back in the batteries."""

    enabled: Switch = True
    """False: each second is decided by itself."""
    every_s: Annotated[Number, Field(ge=2, le=60)] = 10.0
    """At most so many seconds between two plans while an event is in force or near."""
    ahead_s: Annotated[Number, Field(ge=600, le=5400)] = 5400.0
    """How far it looks, s (600..5400)."""
    bridge_s: Annotated[Number, Field(ge=0, le=3600)] = 300.0
    """During an event its batteries keep enough energy to carry it alone for so long, s."""
    wanted_soc: Share = 0.5
    """Where batteries should stand after an event (0..1)."""
    recharge_share: Share = 0.0
    """Share of its power at which a battery is charged back there while no event is in force or near; 0 = never."""
    forecast: FilePath | None = None
    """CSV file of what the sites will take and generate (start_at, site, load_w, pv_w; docs/operate.md), read again when
    it changes; where it says nothing, as yesterday or a week ago at this time."""


class AwardSettings(Section):
    """A quantity that the market has taken and that is kept for it: power and energy of its time are not offered again."""

    product: Identifier
    """Product profile that was awarded."""
    area: Text
    """Grid area it was awarded in; one of the sites' areas."""
    direction: Literal["down", "up", "both"]
    """down = relieves the grid (上げ調整力), up = takes more (下げ調整力), both = a symmetric product."""
    quantity_kw: Annotated[Kw, Field(gt=0)]
    """Awarded quantity, kW."""
    since: Moment
    """Begins then, for instance 2026-12-24T09:00+09:00."""
    until: Moment
    """Ends then."""


class CapacitySettings(Section):
    """What can be offered to the balancing market, and how sure that is to be."""

    products: tuple[Identifier, ...] = ()
    """Product profiles to look at (profiles/products/); empty = every one there is."""
    confidence: Annotated[Number, Field(ge=0.5, le=0.999)] = 0.9
    """How often at least what is offered is to be delivered in full, by the record of past deliveries (0.5..0.999)."""
    load_margin: Share = 0.1
    """Share by which the load at a grid connection may differ from the present one, to the worse side (0..1)."""
    workload_share: Share = 0.0
    """Share of the present workload offers that is taken to be there after their validity ends, too (0..1)."""
    recharge_share: Share = 0.0
    """Share of a battery's power at which it comes back to its present charge between two promises (0..1)."""
    awards: tuple[AwardSettings, ...] = ()
    """What is sold already."""


def feeder(row: FeederSettings) -> Feeder:
    """In W."""
    return Feeder(
        id=FeederId(row.id),
        devices=tuple(DeviceId(device) for device in row.devices),
        import_max_w=1000 * row.import_max_kw,
        export_max_w=1000 * row.export_max_kw,
        load_min_w=1000 * row.load_min_kw,
        load_max_w=1000 * row.load_max_kw,
    )


def site_link(row: LinkSettings) -> SiteLink:
    """In W."""
    return SiteLink(source=SiteId(row.from_site), destination=SiteId(row.to_site), max_w=1000 * row.max_kw)


def blocked(row: BlockedSettings) -> Blocked:
    """In UTC seconds; one of the two kinds, as the rules of the file demand."""
    devices = tuple(DeviceId(device) for device in row.devices)
    if row.since is not None and row.until is not None:
        return Blocked(devices=devices, since_at=unix_of(row.since), until_at=unix_of(row.until), why=row.why)
    sign = -1.0 if row.offset.startswith("-") else 1.0
    return Blocked(
        devices=devices,
        days=tuple(DAYS.index(day) for day in row.days),
        start_s=seconds_of(row.start or "00:00"),
        end_s=seconds_of(row.end or "24:00"),
        offset_s=sign * seconds_of(row.offset[1:]),
        why=row.why,
    )
