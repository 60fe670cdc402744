"""Point tables of SunSpec models, from their published JSON. Pure.

A SunSpec device is a chain of models in 16-bit registers. Each model starts with its number (ID) and length (L);
its points follow at fixed offsets, counted from the ID register:

    base   base+2              +L+2                                   end
    SunS | ID=1 L=66 points... | ID=701 L=153 points... | ... | ID=0xFFFF

A point's number means something only together with its scale factor point (value = raw * 10**SF), and every type
has one bit pattern that says "not implemented".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from vpp_gateway.errors import ConfigError
from vpp_gateway.southbound.modbus.point import Point

SUNS = (0x5375, 0x6E53)
END_MODEL = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Point table of one SunSpec model, without repeating groups."""

    id: int
    length: int
    """Registers with the two header registers."""
    points: Mapping[str, Point]

    def point(self, name: str) -> Point:
        """The point called `name`. Raises ConfigError that lists nothing but the near truth: there is none."""
        try:
            return self.points[name]
        except KeyError:
            raise ConfigError(f"SunSpec model {self.id} has no point {name!r}") from None


@dataclass(frozen=True, slots=True)
class Tables:
    """Every point that a profile may speak of."""

    models: Mapping[int, Model]
    """SunSpec models by number."""
    plain: Mapping[str, Point]
    """Points that the profile lists itself."""

    def point(self, name: str) -> Point:
        """The point of this name. Raises ConfigError when there is none."""
        if (found := self.plain.get(name)) is not None:
            return found
        model, _, point = name.partition(".")
        return self.models[int(model)].point(point)


def model_table(text: str) -> Model:
    """Build the table of one model from its published JSON.

    Fixed groups are laid out in place with names like `PFWInj.PF`; repeating groups (their count is only known
    at run time) are left out.
    """
    document = json.loads(text)
    points: dict[str, Point] = {}
    offset = _lay_out(int(document["id"]), document["group"], "", 0, points)
    return Model(id=int(document["id"]), length=offset, points=points)


def _lay_out(
    model: int, group: Mapping[str, object], prefix: str, offset: int, into: dict[str, Point]
) -> int:
    points = group.get("points", [])
    assert isinstance(points, list)
    for entry in points:
        name = prefix + str(entry["name"])
        scale = entry.get("sf")
        into[name] = Point(
            model=model,
            name=name,
            offset=offset,
            size=int(entry["size"]),
            type=str(entry["type"]),
            scale=scale if isinstance(scale, int) or scale is None else str(scale),
            writable=entry.get("access") == "RW",
        )
        offset += int(entry["size"])
    groups = group.get("groups", [])
    assert isinstance(groups, list)
    for inner in groups:
        if inner.get("count", 1) == 1:
            offset = _lay_out(model, inner, f"{prefix}{inner['name']}.", offset, into)
    return offset
