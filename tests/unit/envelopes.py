"""Sites and products for tests of what can be held and offered."""

from __future__ import annotations

from vpp_gateway.domain.fleet import Battery, Blocked, Feeder, FeederId, Site
from vpp_gateway.domain.instruction import DeviceId, SiteId
from vpp_gateway.domain.order import Leg, Offer, OfferId, PluginName
from vpp_gateway.domain.product import Product, ProductName
from vpp_gateway.domain.reading import BatteryReading
from vpp_gateway.portfolio.asset import Asset
from vpp_gateway.portfolio.rooms import SiteAssets, site_assets

BLOCK_S = 1800.0
NOW = 1_000_000 * BLOCK_S
BIG_W = 1e9


def battery(
    id: str = "a-1",
    site: str = "a",
    *,
    power_w: float = 100e3,
    energy_wh: float = 100e3,
    response_s: float = 0.0,
    ramp_w_per_s: float | None = None,
) -> Battery:
    """Lossless, its whole energy usable."""
    return Battery(
        id=DeviceId(id),
        site=SiteId(site),
        discharge_max_w=power_w,
        charge_max_w=power_w,
        energy_wh=energy_wh,
        soc_min=0.0,
        soc_max=1.0,
        efficiency=1.0,
        response_s=response_s,
        ramp_w_per_s=ramp_w_per_s,
    )


def reading(device: str = "a-1", soc: float = 0.5, room_w: float = BIG_W) -> BatteryReading:
    return BatteryReading(
        device=DeviceId(device), at=NOW, discharge_w=0.0, soc=soc, discharge_room_w=room_w, charge_room_w=room_w
    )  # fmt: skip


def site(
    *batteries: Battery,
    id: str = "a",
    area: str = "tokyo",
    import_max_w: float = BIG_W,
    export_max_w: float = BIG_W,
    feeders: tuple[Feeder, ...] = (),
    blocked: tuple[Blocked, ...] = (),
) -> Site:
    return Site(
        id=SiteId(id),
        name=id,
        name_ja=id,
        area=area,
        meter=DeviceId(f"{id}-m"),
        batteries=batteries or (battery(f"{id}-1", id),),
        import_max_w=import_max_w,
        export_max_w=export_max_w,
        feeders=feeders,
        blocked=blocked,
    )


def feeder(*devices: str, import_max_w: float = BIG_W, export_max_w: float = BIG_W, **loads: float) -> Feeder:
    return Feeder(
        id=FeederId("f-1"),
        devices=tuple(DeviceId(device) for device in devices),
        import_max_w=import_max_w,
        export_max_w=export_max_w,
        **loads,
    )


def heard(of: Site, *, soc: float = 0.5, load_w: float | None = 0.0, margin: float = 0.0) -> SiteAssets:
    """A site whose batteries have all been read at `soc`."""
    usable = {one.id: reading(one.id, soc) for one in of.batteries}
    return site_assets(of, load_w, usable, margin=margin)


def only(of: SiteAssets) -> Asset:
    (one,) = of.batteries
    return one


def offer(*legs: tuple[str, float], id: str = "o-1", sustain_s: float = 7200.0, **more: float) -> Offer:
    """Legs as (site, import_delta_w)."""
    values: dict[str, float] = {"valid_until": NOW + 86400.0, "min_dwell_s": 0.0} | more
    return Offer(
        id=OfferId(id),
        plugin=PluginName("p"),
        kind="move" if len(legs) > 1 else "pause",
        legs=tuple(Leg(site=SiteId(at), import_delta_w=w, latency_s=1.0) for at, w in legs),
        steps=(1.0,),
        valid_until=values["valid_until"],
        sustain_s=sustain_s,
        min_dwell_s=values["min_dwell_s"],
    )


def product(name: str = "p", **more: object) -> Product:
    figures: dict[str, object] = {
        "title": name, "title_ja": name, "directions": "each", "trigger": "setpoint", "response_s": 300.0,
        "sustain_s": 1800.0,
    }  # fmt: skip
    return Product(name=ProductName(name), **(figures | more))  # type: ignore[arg-type]  # fields by name
