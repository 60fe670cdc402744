"""What must agree between the parts of the operator's file: one name, one device, timers that nest, no open door.

The rules look at plain values, which may be wrong anywhere, so that their findings stand beside those of the models
in one answer. `Settings` runs the same rules on itself when it is built in code.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from vpp_gateway import settings_rules_portfolio as portfolio
from vpp_gateway.plain import View
from vpp_gateway.yaml_source import Finding
from vpp_gateway.yaml_validate import near

KW_MAX: Final = 1e6
"""1 GW (or GWh) at one place: more is a unit mixed up."""
SOCKET_PATH_MAX: Final = 107
"""Bytes of a Unix socket address on Linux, without the closing zero."""
CONTROL_SOCKET: Final = "control.sock"
"""Inside `state_dir`: where the running gateway answers the command line."""

SHARES: Final = (
    "soc_min", "soc_max", "efficiency", "opt_in_at_least", "bridge_reserve", "confidence", "load_margin",
    "workload_share", "recharge_share",
)  # fmt: skip

Rule = Callable[[View], Iterator[Finding]]


def rules(plain: Mapping[str, object], base: Path | None = None) -> Iterator[Finding]:
    """All findings about `plain`; `base` is the folder that relative paths start from."""
    root = View(plain)
    yield from chain.from_iterable(rule(root) for rule in _RULES)
    if base is not None:
        yield from _socket_path(root, base)


def sharpen(finding: Finding, value: object) -> Finding:
    """A finding about a quantity, told so that the usual slip is named: sign, W for kW, percent for share."""
    name = str(finding.loc[-1]) if finding.loc else ""
    if finding.code != "problem.range" or not isinstance(value, int | float):
        return finding
    said = dict(finding.values)
    if name.endswith(("_kw", "_kwh")) and value < 0:
        return replace(finding, code="problem.flipped_sign", values=(*finding.values, ("key", name)))
    if name.endswith(("_kw", "_kwh")) and value > KW_MAX:
        values = (("found", said["found"]), ("most", f"{KW_MAX:.0f}"), ("kw", f"{value / 1000:g}"))
        return replace(finding, code="problem.beyond_sense", values=values)
    if name in SHARES and 1 < value <= 100:
        values = (("found", f"{value:g}"), ("allowed", "0..1"), ("share", f"{value / 100:g}"))
        return replace(finding, code="problem.percent", values=values)
    return finding


def _one_name(root: View) -> Iterator[Finding]:
    yield from _unique(site["id"] for site in root["sites"].each())
    yield from _unique(device["id"] for device in _devices(root))
    yield from _unique(room["name"] for room in root["northbound"].each())
    yield from _unique(plugin["name"] for plugin in root["plugins"].each())
    yield from _unique(row["id"] for site in root["sites"].each() for row in site["feeders"].each())


def _unique(views: Iterable[View]) -> Iterator[Finding]:
    first: dict[str, View] = {}
    for view in views:
        if view.text is not None and (earlier := first.setdefault(view.text, view)) is not view:
            values = (("found", view.text),)
            yield Finding(loc=view.loc, code="problem.duplicate", values=values, other=earlier.loc)


def _devices(root: View) -> Iterator[View]:
    for site in root["sites"].each():
        yield site["meter"]
        yield from (site[key] for key in ("check_meter", "pv_meter") if site[key].value is not None)
        yield from site["batteries"].each()


def _one_device(root: View) -> Iterator[Finding]:
    """A device behind two sites would be ordered twice and counted twice."""
    first: dict[tuple[str, float, float], View] = {}
    for device in _devices(root):
        host, port, unit = device["host"].text, device["port"].number, device["unit"].number
        if host is None:
            continue
        endpoint = (
            host.strip().lower().rstrip("."),
            502 if port is None else port,
            1 if unit is None else unit,
        )
        if (earlier := first.setdefault(endpoint, device)) is not device:
            values = (("found", f"{host}:{endpoint[1]:.0f} unit {endpoint[2]:.0f}"),)
            yield Finding(
                loc=device["host"].loc, code="problem.same_endpoint", values=values, other=earlier.loc
            )


def _known_sites(root: View) -> Iterator[Finding]:
    known = [site["id"].text for site in root["sites"].each()]
    names = list(dict.fromkeys(name for name in known if name is not None))
    plugins = list(root["plugins"].each())
    for view in (
        *(site["check_meter"]["read_by"] for site in root["sites"].each()),
        *(view for row in plugins for view in (row["host_site"], *row["sites"].each())),
    ):
        if view.text is not None and view.text not in names:
            values = (("found", view.text), ("allowed", ", ".join(names) or "-"))
            yield Finding(
                loc=view.loc, code="problem.unknown_site", values=values, near=near(view.text, names)
            )
    for row in plugins:
        yield from _unique(row["sites"].each())
    places = list(dict.fromkeys((*names, *_areas_and_batteries(root))))
    for room in root["northbound"].each():
        for place, row in room["resource_ids"].items():
            if place not in places:
                values = (("found", place), ("allowed", ", ".join(places) or "-"))
                yield Finding(
                    loc=row.loc, code="problem.unknown_site", values=values, near=near(place, places)
                )
        yield from _unique(view for _, row in room["resource_ids"].items() for view in row.each())


def _areas_and_batteries(root: View) -> Iterator[str]:
    """What a utility may give a name beside the sites."""
    for site in root["sites"].each():
        for view in (site["area"], *(battery["id"] for battery in site["batteries"].each())):
            if view.text is not None:
                yield view.text


def _operating_window(root: View) -> Iterator[Finding]:
    for site in root["sites"].each():
        for battery in site["batteries"].each():
            low, high = _number(battery["soc_min"], 0.1), _number(battery["soc_max"], 0.95)
            if 0 <= low <= 1 and 0 <= high <= 1 and low >= high:
                given = battery["soc_min"] if battery["soc_min"].value is not None else battery["soc_max"]
                values = (("low", f"{low:g}"), ("high", f"{high:g}"))
                yield Finding(loc=given.loc, code="problem.soc_order", values=values)


def _timers(root: View) -> Iterator[Finding]:
    timing = root["timing"]
    heartbeat_s, refresh_s = _number(timing["heartbeat_s"], 1.0), _number(timing["refresh_s"], 5.0)
    hold_s, reversion_s = _number(timing["hold_s"], 900.0), _number(timing["reversion_s"], 30.0)
    if min(heartbeat_s, refresh_s, hold_s, reversion_s) <= 0:
        return  # said by the fields themselves
    if heartbeat_s > refresh_s:
        values = (("found", f"{heartbeat_s:g}"), ("limit", f"{refresh_s:g}"))
        yield _timer(timing, ("heartbeat_s", "refresh_s"), "problem.timing.heartbeat", values)
    if refresh_s > reversion_s / 3:
        values = (("found", f"{refresh_s:g}"), ("limit", f"{reversion_s / 3:.4g}"))
        finding = _timer(timing, ("refresh_s", "reversion_s"), "problem.timing.refresh", values)
        yield replace(finding, values=(*values, ("reversion", f"{reversion_s:g}")))
    if hold_s <= refresh_s:
        values = (("found", f"{hold_s:g}"), ("limit", f"{refresh_s:g}"))
        yield _timer(timing, ("hold_s", "refresh_s"), "problem.timing.hold", values)


def _timer(timing: View, names: tuple[str, str], code: str, values: tuple[tuple[str, str], ...]) -> Finding:
    """The finding stands at the first of `names` that the operator wrote; the other one is a default."""
    given = next((name for name in names if timing[name].value is not None), names[0])
    return Finding(loc=timing[given].loc, code=code, values=values)


def _northbound(root: View) -> Iterator[Finding]:
    for room in root["northbound"].each():
        tls = room["tls"].value is not None
        for address in (room["vtn_url"], *room["standby_urls"].each()):
            yield from _address(address, tls)
        yield from _push(room["push"], tls)
        if room["sign"].value is True and not tls:
            yield Finding(loc=room["sign"].loc, code="problem.sign_needs_tls")
        if room["vtn_fingerprint"].value is not None and room["sign"].value is not True:
            yield Finding(loc=room["vtn_fingerprint"].loc, code="problem.pin_without_signatures")
        if room["vtn_tls_fingerprint"].value is not None and not tls:
            yield Finding(loc=room["vtn_tls_fingerprint"].loc, code="problem.tls_pin_without_tls")


def _address(address: View, tls: bool) -> Iterator[Finding]:
    """An address of a VTN: https needs certificates, plain HTTP stays on this machine."""
    try:
        url = urlsplit(address.text or "")
    except ValueError:
        return  # said by the field itself
    if url.scheme == "https" and not tls:
        yield Finding(loc=address.loc, code="problem.https_needs_tls")
    if url.scheme == "http" and url.hostname and not _stays_here(url.hostname):
        yield Finding(loc=address.loc, code="problem.plain_http", values=(("host", url.hostname),))


def _push(push: View, tls: bool) -> Iterator[Finding]:
    """Our own address: plain on loopback only, certificate and key together."""
    host = push["host"].text
    if host is not None and not _stays_here(host) and not tls:
        yield Finding(loc=push["host"].loc, code="problem.push_needs_tls", values=(("host", host),))
    if (push["cert"].value is None) != (push["key"].value is None):
        given = "cert" if push["key"].value is None else "key"
        yield Finding(loc=push[given].loc, code="problem.push_cert_key")


def _console(root: View) -> Iterator[Finding]:
    console = root["console"]
    host = console["host"].text
    if host is not None and not _stays_here(host) and console["tls"].value is None:
        yield Finding(loc=console["host"].loc, code="problem.open_console")


def _socket_path(root: View, base: Path) -> Iterator[Finding]:
    state_dir = root["gateway"]["state_dir"]
    socket = base / (state_dir.text or "state") / CONTROL_SOCKET
    size = len(str(socket).encode())
    if size > SOCKET_PATH_MAX:
        values = (("found", str(socket)), ("size", str(size)), ("limit", str(SOCKET_PATH_MAX)))
        yield Finding(loc=state_dir.loc, code="problem.socket_path", values=values)


def _stays_here(host: str) -> bool:
    """Whether `host` is this machine by any reading; a name that needs looking up is not."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _number(view: View, default: float) -> float:
    return default if view.number is None else view.number


_RULES: tuple[Rule, ...] = (
    _one_name,
    _one_device,
    _known_sites,
    _operating_window,
    portfolio.feeders,
    portfolio.links,
    portfolio.blocked,
    portfolio.awards,
    _timers,
    _northbound,
    _console,
)
