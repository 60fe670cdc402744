"""What the operator's file points at: certificates and keys, profiles, installed plug-ins. Looked at, never changed.

A private key that others can read or change is refused (mode 0600): who has it can speak as this gateway. A key that
does not belong to its certificate is found here and not in a handshake at night.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from vpp_gateway.identity import IdentityError, read_certificate, read_key, same_key
from vpp_gateway.plain import Loc
from vpp_gateway.product_profile import load_product
from vpp_gateway.profile import list_profiles, missing_profile, read_profile
from vpp_gateway.yaml_source import Finding, InvalidFile
from vpp_gateway.yaml_validate import near

if TYPE_CHECKING:
    from vpp_gateway.settings import Settings

PLUGIN_GROUP = "vpp_gateway.site_plugins"
"""Entry-point group of workload plug-ins."""


def missing_files(settings: Settings) -> Iterator[Finding]:
    """Everything that `settings` points at and that is not there, or not as it must be."""
    yield from _identities(settings)
    yield from _profiles(settings)
    yield from _products(settings)
    yield from _plugins(settings)
    if settings.horizon.forecast is not None:
        fault = _unreadable(("horizon", "forecast"), settings.horizon.forecast)
        yield from () if fault is None else (fault,)


def missing_names(settings: Settings) -> Iterator[Finding]:
    """Profiles that do not come with the package; nothing where the operator has folders that may hold them."""
    if not settings.gateway.profile_dirs:
        yield from _profiles(settings)
        yield from _named_products(settings)


def _identities(settings: Settings) -> Iterator[Finding]:
    for index, room in enumerate(settings.northbound):
        if room.tls is not None:
            loc: Loc = ("northbound", index, "tls")
            yield from _certificate((*loc, "ca"), room.tls.ca)
            yield from _pair(loc, room.tls.cert, room.tls.key)
            for number, crl in enumerate(room.tls.crl):
                if (fault := _unreadable((*loc, "crl", number), crl)) is not None:
                    yield fault
    if settings.console.enabled and settings.console.tls is not None:
        yield from _pair(("console", "tls"), settings.console.tls.cert, settings.console.tls.key)


def _pair(loc: Loc, cert: Path, key: Path) -> Iterator[Finding]:
    faults = [*_certificate((*loc, "cert"), cert), *_key((*loc, "key"), key)]
    yield from faults
    if not faults and not same_key(read_certificate(cert), read_key(key)):
        values = (("found", str(key)), ("other", str(cert)))
        yield Finding(loc=(*loc, "key"), code="problem.key_other", values=values)


def _certificate(loc: Loc, path: Path) -> Iterator[Finding]:
    if (fault := _unreadable(loc, path)) is not None:
        yield fault
        return
    try:
        read_certificate(path)
    except IdentityError as error:
        yield Finding(loc=loc, code=error.code, values=tuple(error.values.items()))


def _key(loc: Loc, path: Path) -> Iterator[Finding]:
    if (fault := _unreadable(loc, path)) is not None:
        yield fault
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        values = (("found", str(path)), ("mode", f"{mode:04o}"))
        yield Finding(loc=loc, code="problem.key_open", values=values)
    try:
        read_key(path)
    except IdentityError as error:
        yield Finding(loc=loc, code=error.code, values=tuple(error.values.items()))


def _unreadable(loc: Loc, path: Path) -> Finding | None:
    try:
        if not path.exists():
            return Finding(loc=loc, code="problem.file_missing", values=(("found", str(path)),))
        if not path.is_file():
            return Finding(loc=loc, code="problem.file_not_regular", values=(("found", str(path)),))
        with path.open("rb"):
            return None
    except OSError as error:
        values = (("found", str(path)), ("reason", error.strerror or str(error)))
        return Finding(loc=loc, code="problem.file_unreadable", values=values)


def _profiles(settings: Settings) -> Iterator[Finding]:
    search = settings.gateway.profile_dirs
    for index, room in enumerate(settings.northbound):
        if (missing := missing_profile("programs", room.program, search)) is not None:
            yield replace(missing, loc=("northbound", index, "program"))
        elif not room.sign and _demands_signatures(room.program, search):
            values = (("program", room.program),)
            yield Finding(loc=("northbound", index, "sign"), code="problem.unsigned", values=values)
    kinds: dict[str, str | Finding] = {}
    for loc, name, expected in _devices(settings):
        if name not in kinds:
            kinds[name] = _kind(name, expected, search)
        match kinds[name]:
            case Finding() as fault:
                yield replace(fault, loc=loc)
            case kind if kind != expected:
                said = (("found", name), ("kind", str(kind)), ("expected", expected))
                yield Finding(loc=loc, code="problem.profile_kind", values=said)


def _devices(settings: Settings) -> Iterator[tuple[Loc, str, str]]:
    """Where a device profile is named, its name, and what kind it must be."""
    for s, site in enumerate(settings.sites):
        for key, meter in (
            ("meter", site.meter),
            ("check_meter", site.check_meter),
            ("pv_meter", site.pv_meter),
        ):
            if meter is not None:
                yield ("sites", s, key, "profile"), meter.profile, "meter"
        for b, battery in enumerate(site.batteries):
            yield ("sites", s, "batteries", b, "profile"), battery.profile, "battery"


def _products(settings: Settings) -> Iterator[Finding]:
    """Products are there and whole, also those that nobody names, and awards have directions that theirs can have."""
    search = settings.gateway.profile_dirs
    yield from _named_products(settings)
    for name in () if settings.capacity.products else list_profiles("products", search):
        yield from _product(("capacity",), name, "", search)


def _named_products(settings: Settings) -> Iterator[Finding]:
    search = settings.gateway.profile_dirs
    for index, name in enumerate(settings.capacity.products):
        yield from _product(("capacity", "products", index), name, "", search)
    for index, award in enumerate(settings.capacity.awards):
        yield from _product(("capacity", "awards", index, "product"), award.product, award.direction, search)


def _product(loc: Loc, name: str, direction: str, search: tuple[Path, ...]) -> Iterator[Finding]:
    if (missing := missing_profile("products", name, search)) is not None:
        yield replace(missing, loc=loc)
        return
    try:
        product = load_product(name, search)
    except InvalidFile as error:
        yield Finding(loc=loc, code="problem.said", values=(("reason", str(error)),))
        return
    allowed = product.sides()
    if direction and direction not in allowed:
        values = (("found", direction), ("allowed", ", ".join(allowed)))
        yield Finding(loc=(*loc[:-1], "direction"), code="problem.choice", values=values)


def _demands_signatures(program: str, search: tuple[Path, ...]) -> bool:
    """Whether the program profile refuses unsigned messages; what else is wrong with it is found when it is loaded."""
    try:
        signature = read_profile("programs", program, search).plain.get("signature")
    except InvalidFile:
        return False
    return isinstance(signature, dict) and signature.get("required") is True


def _kind(name: str, default: str, search: tuple[Path, ...]) -> str | Finding:
    """The kind of device that a profile describes, or why it cannot be told."""
    if (missing := missing_profile("devices", name, search)) is not None:
        return missing
    try:
        return str(read_profile("devices", name, search).plain.get("kind", default))
    except InvalidFile as error:
        return Finding(loc=(), code="problem.said", values=(("reason", str(error)),))


def _plugins(settings: Settings) -> Iterator[Finding]:
    installed = sorted({entry.name for entry in entry_points(group=PLUGIN_GROUP)})
    for index, plugin in enumerate(settings.plugins):
        if plugin.plugin not in installed:
            values = (("found", plugin.plugin), ("allowed", ", ".join(installed) or "-"))
            yield Finding(
                loc=("plugins", index, "plugin"),
                code="problem.no_plugin",
                values=values,
                near=near(plugin.plugin, installed),
            )
