"""The operator's one YAML file, as frozen values. Nothing else in the package reads files or environment on its own.

    gateway.yaml -> load_settings -> Settings -> fleet(settings) -> domain.Fleet
                        |
                        +-> InvalidFile: every mistake at once, with line, column and what is allowed

kW and kWh at this edge, W and Wh inside; `fleet` converts. Relative paths are relative to the YAML file. The docstring
of each field is its description in `docs/schemas/settings.schema.json` and in editors that read the schema.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from vpp_gateway.catalogue import Lang
from vpp_gateway.domain.fleet import Battery, Fleet, Site
from vpp_gateway.domain.instruction import DeviceId, SiteId
from vpp_gateway.profile import Source, Verified
from vpp_gateway.settings_files import missing_files, missing_names
from vpp_gateway.settings_portfolio import (
    BlockedSettings,
    CapacitySettings,
    DispatchSettings,
    FeederSettings,
    HorizonSettings,
    LinkSettings,
    blocked,
    feeder,
    site_link,
)
from vpp_gateway.settings_rules import rules, sharpen
from vpp_gateway.settings_words import (
    FilePath,
    Fingerprint,
    Identifier,
    Kw,
    Number,
    Port,
    Seconds,
    Section,
    Share,
    Switch,
    Text,
    VtnUrl,
)
from vpp_gateway.yaml_source import Document, InvalidFile, read_yaml
from vpp_gateway.yaml_validate import RULES, validate


class GatewaySettings(Section):
    """This gateway."""

    name: Text
    """Name that operators see."""
    state_dir: FilePath = Path("state")
    """Folder of the journal, the telemetry and the control socket; one gateway alone uses it."""
    language: Lang = "en"
    """Language of the texts that operators read: en or ja."""
    simulated: Switch = False
    """True marks everything shown as simulated: devices or utility are not real."""
    profile_dirs: tuple[FilePath, ...] = ()
    """Folders with profiles of your own (devices/, programs/, ...), searched before the shipped ones."""


class TlsSettings(Section):
    """Identity of a client towards a utility."""

    ca: FilePath
    """PEM file with the CA certificates that the utility's server certificate is checked against."""
    cert: FilePath
    """PEM file with our certificate, followed by the intermediate CAs."""
    key: FilePath
    """PEM file with our private key, mode 0600."""
    crl: tuple[FilePath, ...] = ()
    """Certificate revocation lists (PEM or DER) of the utility's CAs; read again when they change."""


class PushSettings(Section):
    """Our own address that the utility posts to; the program profile must say transport push."""

    host: Text = "127.0.0.1"
    """Address to listen on; anything but loopback needs tls."""
    port: Port
    """TCP port to listen on."""
    public_url: VtnUrl
    """The address as the utility reaches it, up to /OpenADR2/Simple/2.0b; told at registration."""
    cert: FilePath | None = None
    """PEM file with the certificate of this address; without it, tls.cert."""
    key: FilePath | None = None
    """PEM file with its private key, mode 0600; without it, tls.key."""


class OpenAdr2Settings(Section):
    """One OpenADR 2.0b connection: we are the VEN."""

    protocol: Literal["openadr2"]
    """openadr2 = OpenADR 2.0b over HTTP, pull or push."""
    name: Identifier
    """Your name for this connection; the first part of every instruction's id."""
    program: Identifier
    """Program profile: how this utility's signals become instructions."""
    vtn_url: VtnUrl
    """Address of the VTN up to /OpenADR2/Simple/2.0b; the service names are added."""
    standby_urls: tuple[VtnUrl, ...] = ()
    """Addresses of the same utility's standby sites, tried in this order when the main one is lost."""
    push: PushSettings | None = None
    """Our own address for a program with transport push; without it, messages are fetched (pull)."""
    ven_name: Text
    """VEN name agreed with the utility."""
    ven_id: Text | None = None
    """VEN id, when the utility gave one in advance; otherwise the VTN gives it at registration."""
    resource_ids: dict[Identifier, tuple[Text, ...]] = Field(default_factory=dict)
    """Site id -> the resource ids that the utility gave the site, the first of them for reports; a site that is not
    named here goes by its own id. An area or the id of a battery in its place gives these a name; they have none else."""
    group_ids: tuple[Text, ...] = ()
    """Group ids that the utility may address us by, with all sites."""
    party_ids: tuple[Text, ...] = ()
    """Party ids that the utility may address us by, with all sites."""
    vtn_fingerprint: Fingerprint | None = None
    """Fingerprint of the certificate that signs the VTN's messages (last 10 bytes of its SHA-256), to pin it; needs sign."""
    vtn_tls_fingerprint: Fingerprint | None = None
    """Fingerprint of the VTN's TLS certificate, to pin it at every handshake; needs tls."""
    sign: Switch = False
    """True signs and checks every message (XML signature, high security)."""
    tls: TlsSettings | None = None
    """Certificates; required for https."""
    poll_s: Annotated[Number, Field(ge=1, le=3600)] | None = None
    """Seconds between polls; without it, as the VTN asks."""


class DeviceSettings(Section):
    """One Modbus TCP device."""

    id: Identifier
    """Your name for the device, unique in the whole file."""
    profile: Identifier
    """Device profile: its register map and habits."""
    host: Text
    """IP address or host name."""
    port: Port = 502
    """TCP port."""
    unit: Annotated[int, Field(strict=True, ge=0, le=255)] = 1
    """Modbus unit id."""


class MeterSettings(DeviceSettings):
    """The meter at the grid connection point."""


class CheckMeterSettings(DeviceSettings):
    """A second meter at the same connection, so that neither a meter nor an agent nor a link alone makes a site unseen."""

    read_by: Identifier | None = None
    """Id of the site whose agent reads it, best another one; without it, the site's own agent."""


class PvMeterSettings(DeviceSettings):
    """The meter of the site's PV plant: it counts what the plant feeds in as a negative import."""


class BatterySettings(DeviceSettings):
    """One battery with its operating window."""

    discharge_max_kw: Annotated[Kw, Field(gt=0)]
    """Largest discharge, kW."""
    charge_max_kw: Annotated[Kw, Field(ge=0)]
    """Largest charge, kW; 0 = never charged by the gateway."""
    energy_kwh: Annotated[Kw, Field(gt=0)]
    """Usable energy between SoC 0 and 1, kWh."""
    soc_min: Share = 0.1
    """Share of the energy that is never discharged (0..1)."""
    soc_max: Share = 0.95
    """Share of the energy above which it is never charged (0..1)."""
    efficiency: Annotated[Number, Field(gt=0, le=1)] = 0.95
    """One-way efficiency (0..1)."""
    response_s: Annotated[Number, Field(ge=0, le=3600)] = 2.0
    """Seconds from an order to the first change at the meter, as measured when it was commissioned."""
    ramp_kw_per_s: Annotated[Kw, Field(gt=0)] | None = None
    """How fast its power changes then, kW per second; without it, at once."""
    wear_cost: Annotated[Number, Field(ge=0, le=1e6)] = 0.0
    """What a kWh through it wears, in or out, against the others; of equals the least is used first (docs/operate.md)."""


class SiteSettings(Section):
    """One data centre = one grid connection point (PCC)."""

    id: Identifier
    """Your short name for the site, unique in this file."""
    name: Text
    """Name in English."""
    name_ja: Text
    """Name in Japanese."""
    area: Text
    """Grid area, for instance tokyo."""
    import_max_kw: Annotated[Kw, Field(gt=0)]
    """Contracted import at the grid connection point, kW."""
    export_max_kw: Annotated[Kw, Field(ge=0)]
    """Allowed export at the grid connection point, kW; 0 = no reverse flow."""
    meter: MeterSettings
    """The meter at the grid connection point."""
    check_meter: CheckMeterSettings | None = None
    """A second meter there, or the same one on another way (another port or gateway)."""
    pv_meter: PvMeterSettings | None = None
    """The meter of the PV plant behind the grid connection point, where there is one."""
    batteries: tuple[BatterySettings, ...] = ()
    """Batteries behind the grid connection point."""
    feeders: tuple[FeederSettings, ...] = ()
    """Lines inside the site with limits of their own; a battery that is on none stands at the grid connection."""
    blocked: tuple[BlockedSettings, ...] = ()
    """Times at which batteries of this site are left alone: not ordered, not promised, not offered."""


class PluginSettings(Section):
    """One workload plug-in."""

    name: Identifier
    """Your name for it, unique in this file."""
    plugin: Identifier
    """Which plug-in: its entry-point name, for instance process-lever."""
    host_site: Identifier
    """Id of the site whose agent runs it."""
    sites: Annotated[tuple[Identifier, ...], Field(min_length=1)]
    """Ids of the sites whose load it can change."""
    config: dict[str, object] = Field(default_factory=dict)
    """The plug-in's own settings; the plug-in checks them."""


class ConsoleTlsSettings(Section):
    """Identity of the console's server."""

    cert: FilePath
    """PEM file with the server's certificate, followed by the intermediate CAs."""
    key: FilePath
    """PEM file with its private key, mode 0600."""


class ConsoleSettings(Section):
    """The page that operators watch."""

    enabled: Switch = False
    """True serves it."""
    host: Text = "127.0.0.1"
    """Address to listen on; other machines are let in with tls only."""
    port: Annotated[int, Field(strict=True, ge=0, le=65535)] = 8080
    """TCP port; 0 = any free one."""
    tls: ConsoleTlsSettings | None = None
    """Certificate of the server; required unless the host is a loopback address."""


class TimingSettings(Section):
    """The timers that nest. heartbeat_s <= refresh_s <= reversion_s / 3, and refresh_s < hold_s."""

    heartbeat_s: Seconds = 1.0
    """Seconds between signs of life to a device and between reading cycles."""
    refresh_s: Seconds = 5.0
    """Seconds between renewals of a battery's setpoint."""
    hold_s: Seconds = 900.0
    """Seconds for which a site agent carries on an order without end after it lost the centre."""
    reversion_s: Seconds = 30.0
    """Seconds after which a battery falls back by itself when nobody renews its setpoint."""
    arm_lead_s: Seconds = 10.0
    """Seconds before an event's start at which batteries are made ready."""
    agent_restart_s: Annotated[Number, Field(ge=0.05, le=3600)] = 0.2
    """Seconds before a site agent that ended is started again; doubles while it keeps ending early."""


class RetentionSettings(Section):
    """How long what was measured is kept."""

    ticks_days: Annotated[Number, Field(ge=1, le=3650)] = 7.0
    """Days for which one-second readings stay in the live journal before they go to its archives."""
    telemetry_days: Annotated[Number, Field(ge=1, le=3650)] = 60.0
    """Days for which raw samples are kept."""
    messages_days: Annotated[Number, Field(ge=1, le=3650)] = 60.0
    """Days for which the messages of the utilities and ours are kept as they stood on the wire."""
    messages_mb: Annotated[Number, Field(ge=1, le=100_000)] = 512.0
    """Megabytes that these messages may take; the oldest go first."""


class Settings(Section):
    """The whole file."""

    gateway: GatewaySettings
    """This gateway."""
    northbound: tuple[OpenAdr2Settings, ...] = ()
    """Connections to utilities and aggregators."""
    sites: Annotated[tuple[SiteSettings, ...], Field(min_length=1)]
    """The data centres."""
    links: tuple[LinkSettings, ...] = ()
    """Links between sites that carry only so much work."""
    plugins: tuple[PluginSettings, ...] = ()
    """Workload plug-ins."""
    console: ConsoleSettings = Field(default_factory=ConsoleSettings)
    """The page that operators watch."""
    timing: TimingSettings = Field(default_factory=TimingSettings)
    """The timers that nest."""
    dispatch: DispatchSettings = Field(default_factory=DispatchSettings)
    """How orders are carried out and measured."""
    horizon: HorizonSettings = Field(default_factory=HorizonSettings)
    """The plan of the coming hour."""
    capacity: CapacitySettings = Field(default_factory=CapacitySettings)
    """What can be offered to the balancing market."""
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    """How long what was measured is kept."""
    source: tuple[Source, ...] = ()
    """Where the nameplates and limits of this file come from; a note."""
    verified: Verified = "unverified"
    """How far they were checked: primary, secondary or unverified."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if findings := list(
            rules(self.model_dump(mode="json", exclude={"plugins": {"__all__": {"config"}}}))
        ):
            said = Document.nowhere("settings").problems(findings)
            raise PydanticCustomError(RULES, "{said}", {"said": "; ".join(problem.say() for problem in said)})
        return self


def load_settings(path: Path, *, files: bool = True) -> Settings:
    """Read and check the operator's file.

    Args:
        files: also check what the file points at: certificates and keys (mode 0600), profiles, plug-ins. Without it
            names of profiles alone are checked, and only where there are no `profile_dirs` that may hold them.

    Raises:
        InvalidFile: with every mistake.
    """
    document = read_yaml(path)
    base = path.absolute().parent
    settings = validate(
        document, Settings, findings=rules(document.plain, base), hint=sharpen, context={"base": base}
    )
    if findings := list(missing_files(settings) if files else missing_names(settings)):
        raise InvalidFile(document.problems(findings))
    return settings


def settings_schema() -> dict[str, object]:
    """The JSON Schema (2020-12) of the file, for editors and other programs."""
    schema: dict[str, object] = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return schema | Settings.model_json_schema() | {"title": "vpp-gateway settings"}


def fleet(settings: Settings) -> Fleet:
    """The portfolio in W and Wh."""
    return Fleet(sites=tuple(map(_site, settings.sites)), links=tuple(map(site_link, settings.links)))


def _site(site: SiteSettings) -> Site:
    return Site(
        id=SiteId(site.id),
        name=site.name,
        name_ja=site.name_ja,
        area=site.area,
        meter=DeviceId(site.meter.id),
        check_meter=None if site.check_meter is None else DeviceId(site.check_meter.id),
        pv_meter=None if site.pv_meter is None else DeviceId(site.pv_meter.id),
        batteries=tuple(_battery(site.id, battery) for battery in site.batteries),
        import_max_w=site.import_max_kw * 1000,
        export_max_w=site.export_max_kw * 1000,
        feeders=tuple(feeder(row) for row in site.feeders),
        blocked=tuple(blocked(row) for row in site.blocked),
    )


def _battery(site: str, battery: BatterySettings) -> Battery:
    return Battery(
        id=DeviceId(battery.id),
        site=SiteId(site),
        discharge_max_w=battery.discharge_max_kw * 1000,
        charge_max_w=battery.charge_max_kw * 1000,
        energy_wh=battery.energy_kwh * 1000,
        soc_min=battery.soc_min,
        soc_max=battery.soc_max,
        efficiency=battery.efficiency,
        response_s=battery.response_s,
        ramp_w_per_s=None if battery.ramp_kw_per_s is None else battery.ramp_kw_per_s * 1000,
        wear_cost=battery.wear_cost,
    )
