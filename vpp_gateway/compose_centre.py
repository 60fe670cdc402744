"""Composition of the centre: settings and profiles -> gateway, journal, rooms, engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vpp_gateway.clock import Clock, Rng
from vpp_gateway.compose_horizon import rolling_of
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.fact import FACT_TYPES
from vpp_gateway.domain.instruction import DeviceId, RoomName, SiteId
from vpp_gateway.domain.order import PluginName
from vpp_gateway.errors import ConfigError
from vpp_gateway.northbound.openadr2 import schema
from vpp_gateway.northbound.openadr2.both_ways import BothWays
from vpp_gateway.northbound.openadr2.client import VenClient
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.listener import PushListener
from vpp_gateway.northbound.openadr2.party import NamedDevice
from vpp_gateway.northbound.openadr2.program import ProgramProfile
from vpp_gateway.northbound.openadr2.record import Recorder
from vpp_gateway.northbound.openadr2.session import VenSession
from vpp_gateway.northbound.openadr2.wallet import Papers, Wallet
from vpp_gateway.northbound.openadr2.xml_intake import Limits
from vpp_gateway.northbound.turn import Session
from vpp_gateway.profile import load_profile
from vpp_gateway.settings import OpenAdr2Settings, Settings, SiteSettings, TlsSettings
from vpp_gateway.shells import Room


def policy_of(settings: Settings) -> Policy:
    """Dispatch policy of the operator's settings."""
    dispatch = settings.dispatch
    return Policy(
        baseline_window_s=dispatch.baseline_window_s,
        opt_in_at_least=dispatch.opt_in_at_least,
        bridge_reserve=dispatch.bridge_reserve,
        prepare_lead_s=dispatch.prepare_lead_s,
        replan_s=dispatch.replan_s,
        return_within_s=dispatch.return_within_s,
        hold_rebound=dispatch.hold_rebound,
        reversion_s=settings.timing.reversion_s,
        hold_s=settings.timing.hold_s,
        rolling=rolling_of(settings),
    )


def host_of(settings: Settings) -> dict[PluginName, SiteId]:
    """The site whose agent hosts each plug-in."""
    return {PluginName(row.name): SiteId(row.host_site) for row in settings.plugins}


def journal_types(sessions: Iterable[Session]) -> tuple[type, ...]:
    """Every fact that the journal may hold: the domain's and those of the sessions."""
    own = {kind for session in sessions for kind in session.fact_types}
    return (*FACT_TYPES, *sorted(own, key=lambda kind: kind.__qualname__))


def compose_rooms(
    settings: Settings,
    clock: Clock,
    rng: Rng,
    deliver: Callable[[RoomName, Any], Awaitable[str | None]],
    recorder: Recorder | None = None,
) -> dict[RoomName, Room]:
    """Every northbound connection of the settings.

    Raises:
        ConfigError: a program profile, certificate or key is missing or wrong.
    """
    xsd = schema.load() if settings.northbound else None
    rooms: dict[RoomName, Room] = {}
    for row in settings.northbound:
        program = _program(settings, row)
        name = RoomName(row.name)
        session = VenSession(
            room=name,
            ven_name=row.ven_name,
            ven_id=row.ven_id,
            program=program,
            sites=tuple(SiteId(site.id) for site in settings.sites),
            rng=rng,
            signing=row.sign,
            poll_s=row.poll_s,
            resources=_resources(settings, row),
            level_base_w={SiteId(site.id): _battery_w(site) for site in settings.sites},
            capacity_w={SiteId(site.id): 1000.0 * site.import_max_kw for site in settings.sites},
            areas=_areas(settings, row),
            devices=_devices(settings, row),
            groups=row.group_ids,
            parties=row.party_ids,
            push_url=None if row.push is None else row.push.public_url,
            addresses=(row.vtn_url, *row.standby_urls),
        )
        assert xsd is not None
        limits = Limits(bytes_max=program.body_max_bytes)
        client = VenClient(
            room=name,
            base_url=row.vtn_url,
            standby_urls=row.standby_urls,
            codec=Codec(schema=xsd, limits=limits),
            tls=None,
            wallet=_wallet(row, program, clock, rng, limits),
            clock=clock,
            deliver=deliver,
            deadline_s=program.polling.deadline_s,
            recorder=recorder,
        )
        listener = _listener(row, program, clock, rng, deliver, client, recorder)
        rooms[name] = Room(session, client if listener is None else BothWays(client, listener))
    return rooms


def _listener(
    row: OpenAdr2Settings,
    program: ProgramProfile,
    clock: Clock,
    rng: Rng,
    deliver: Callable[[RoomName, Any], Awaitable[str | None]],
    client: VenClient,
    recorder: Recorder | None,
) -> PushListener | None:
    """Our own address, where the utility posts to us. Its schema is its own: two threads must not share one."""
    if row.push is None:
        return None
    push, wallet = row.push, None
    if row.tls is not None:
        if row.vtn_tls_fingerprint is None and not program.tls.check_hostname:
            raise ConfigError(
                f"northbound {row.name}: push needs vtn_tls_fingerprint, for program {program.name} does not check host "
                "names, and every VEN of the utility has a certificate of the same CA"
            )
        papers = replace(
            _papers(row, row.tls, program),
            cert=push.cert or row.tls.cert,
            key=push.key or row.tls.key,
            sign=False,
            listens=True,
            names=tuple(urlsplit(url).hostname or "" for url in (row.vtn_url, *row.standby_urls)),
        )
        wallet = Wallet(papers, clock=clock, rng=rng)
    limits = Limits(bytes_max=program.body_max_bytes)
    return PushListener(
        room=RoomName(row.name),
        codec=Codec(schema=schema.load(), limits=limits),
        clock=clock,
        deliver=deliver,
        deadline_s=program.polling.deadline_s,
        answer_s=program.push.answer_s,
        host=push.host,
        port=push.port,
        wallet=wallet,
        signing=client.wallet,
        recorder=recorder,
    )


def wallets(rooms: Mapping[RoomName, Room]) -> dict[str, Wallet]:
    """The credentials in use, by connection, those of our own address as `<connection> push`; none without TLS."""
    found: dict[str, Wallet | None] = {}
    for name, room in rooms.items():
        if isinstance(room.client, VenClient | BothWays):
            found[name] = room.client.wallet
        if isinstance(room.client, BothWays):
            found[f"{name} push"] = room.client.listening
    return {name: wallet for name, wallet in found.items() if wallet is not None}


def certificates(rows: Sequence[OpenAdr2Settings]) -> dict[str, Path]:
    """The files of our own certificates towards utilities, by connection; of our own address as `<connection> push`."""
    found = {row.name: row.tls.cert for row in rows if row.tls is not None}
    for row in rows:
        if row.push is not None and row.push.cert is not None:
            found[f"{row.name} push"] = row.push.cert
    return found


def _program(settings: Settings, row: OpenAdr2Settings) -> ProgramProfile:
    return load_profile("programs", row.program, ProgramProfile, settings.gateway.profile_dirs)


def _resources(settings: Settings, row: OpenAdr2Settings) -> dict[str, SiteId]:
    """resourceID -> site; a site that the utility gave no name goes by its id."""
    return {
        name: SiteId(site.id)
        for site in settings.sites
        for name in row.resource_ids.get(site.id) or (site.id,)
    }


def _areas(settings: Settings, row: OpenAdr2Settings) -> dict[str, tuple[SiteId, ...]]:
    """resourceID -> the sites of an area that the utility gave a name."""
    sites = {site.id for site in settings.sites}
    return {
        name: tuple(SiteId(site.id) for site in settings.sites if site.area == area)
        for area in dict.fromkeys(site.area for site in settings.sites)
        if area not in sites
        for name in row.resource_ids.get(area, ())
    }


def _devices(settings: Settings, row: OpenAdr2Settings) -> dict[str, NamedDevice]:
    """resourceID -> a battery that the utility gave a name."""
    others = {name for site in settings.sites for name in (site.id, site.area)}
    return {
        name: NamedDevice(
            id=DeviceId(battery.id),
            site=SiteId(site.id),
            level_base_w=1000.0 * battery.discharge_max_kw,
        )
        for site in settings.sites
        for battery in site.batteries
        if battery.id not in others
        for name in row.resource_ids.get(battery.id, ())
    }


def _battery_w(site: SiteSettings) -> float:
    return 1000.0 * sum(battery.discharge_max_kw for battery in site.batteries)


def _wallet(
    row: OpenAdr2Settings, program: ProgramProfile, clock: Clock, rng: Rng, limits: Limits
) -> Wallet | None:
    if row.tls is None:
        return None
    return Wallet(_papers(row, row.tls, program), clock=clock, rng=rng, limits=limits)


def _papers(row: OpenAdr2Settings, tls: TlsSettings, program: ProgramProfile) -> Papers:
    return Papers(
        ca=tls.ca,
        cert=tls.cert,
        key=tls.key,
        crl=tls.crl,
        sign=row.sign,
        pin=row.vtn_fingerprint,
        tls_pin=row.vtn_tls_fingerprint,
        ciphers=program.tls.ciphers,
        check_hostname=program.tls.check_hostname,
        stale_crl=program.tls.stale_crl,
    )
