"""The table of all shipped device profiles for the documents: `python -m vpp_gateway.commission.products docs/devices.md`.

It stands between two marks, so that prose around it stays. A test holds it to the profiles.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from vpp_gateway.errors import MisuseError
from vpp_gateway.profile import list_profiles
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.shelf import load_device

BEGIN, END = "<!-- begin of the table -->", "<!-- end of the table -->"
_HEAD = {
    "battery": ("profile", "products", "map", "falls back", "sources", "grade"),
    "meter": ("profile", "products", "map", "sources", "grade"),
}
_FALLS_BACK = {"timer": "timer set by us", "none": "never"}


def table(profiles: Iterable[DeviceProfile]) -> str:
    """Batteries, then meters, as Markdown."""
    known = sorted(profiles, key=lambda profile: profile.name)
    parts = []
    for kind, title in (("battery", "Batteries"), ("meter", "Meters")):
        head = _HEAD[kind]
        rows = [_row(profile) for profile in known if profile.kind == kind]
        lines = [f"| {' | '.join(row[word] for word in head)} |" for row in rows]
        parts.append(
            "\n".join([f"### {title}", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *lines])
        )
    return "\n\n".join(parts)


def _row(profile: DeviceProfile) -> dict[str, str]:
    return {
        "profile": f"`{profile.name}`",
        "products": f"{profile.product.vendor}: {', '.join(profile.product.models)}",
        "map": "SunSpec" if profile.sunspec else "own registers",
        "falls back": _falls_back(profile),
        "sources": profile.verified,
        "grade": profile.grade,
    }


def _falls_back(profile: DeviceProfile) -> str:
    if profile.reversion is None:
        return ""
    after_s = profile.reversion_s(0.0) or 0.0
    return _FALLS_BACK.get(profile.reversion.kind, f"{profile.reversion.kind}, {after_s:g} s")


def renewed(page: str, profiles: Iterable[DeviceProfile]) -> str:
    """The page with the table of these profiles. Raises MisuseError when the marks are missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise MisuseError(f"the page needs a line {BEGIN} and a line {END}")
    return f"{before}{BEGIN}\n\n{table(profiles)}\n\n{END}{after}"


def shipped() -> tuple[DeviceProfile, ...]:
    """All profiles that come with the package."""
    return tuple(load_device(name) for name in list_profiles("devices"))


def main(arguments: Sequence[str]) -> int:
    """Command line; the exit code is 2 for a wrong one."""
    if len(arguments) != 1:
        print("usage: python -m vpp_gateway.commission.products PAGE.md", file=sys.stderr)
        return 2
    path = Path(arguments[0])
    path.write_text(renewed(path.read_text(encoding="utf-8"), shipped()), encoding="utf-8")
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
