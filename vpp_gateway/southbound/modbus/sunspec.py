"""Point tables of SunSpec models, from their published JSON. Pure.

A SunSpec device is a chain of models in 16-bit registers. Each model starts with its number (ID) and length (L);
its points follow at fixed offsets, counted from the ID register:

    base   base+2              +L+2                                   end
    SunS | ID=1 L=66 points... | ID=701 L=153 points... | ... | ID=0xFFFF

A point's number means something only together with its scale factor point (value = raw * 10**SF), and every type
has one bit pattern that says "not implemented".

Some models end in a group that repeats, as often as the device has inputs, strings or modules:

    ID=160 L | DCA_SF DCV_SF DCW_SF ... N | module[1]: ID IDStr DCA DCV DCW ... | module[2]: ... |

Its points are named `module[2].DCW`, counted from 1 as the devices number them themselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vpp_gateway.errors import ConfigError
from vpp_gateway.southbound.modbus.point import Point

SUNS = (0x5375, 0x6E53)
END_MODEL = 0xFFFF
FIXED_SCALES_FROM = 700
"""Models from this one on keep their scale factors; devices of older ones change them while they run."""
_REPEATED = re.compile(r"(?P<group>[A-Za-z][A-Za-z0-9_]*)\[(?P<nth>[1-9][0-9]*)\]\.(?P<point>.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Points that repeat at the end of a model."""

    name: str
    offset: int
    """Registers from the ID register to the first of them."""
    size: int
    """Registers of one."""
    counted_by: str | None
    points: Mapping[str, Point]
    """Of one, by name inside the group; offsets from its start."""

    def point(self, name: str, nth: int) -> Point:
        """A point of the nth, counted from 1. Raises KeyError."""
        point = self.points[name]
        scale = point.scale
        if isinstance(scale, str) and scale in self.points:
            scale = self.named(scale, nth)
        start = self.offset + (nth - 1) * self.size
        own = scale != point.scale and point.scale_at is not None
        return replace(
            point,
            name=self.named(name, nth),
            offset=start + point.offset,
            scale=scale,
            nth=nth,
            counted_by=self.counted_by,
            scale_at=start + point.scale_at if own and point.scale_at is not None else point.scale_at,
        )

    def named(self, name: str, nth: int) -> str:
        """As profiles name it."""
        return f"{self.name}[{nth}].{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Point table of one SunSpec model."""

    id: int
    length: int
    """Registers with the two header registers, without the group that repeats."""
    points: Mapping[str, Point]
    group: Group | None = None
    """What repeats at its end."""

    def point(self, name: str) -> Point:
        """The point called `name`. Raises ConfigError that lists nothing but the near truth: there is none."""
        if (found := self.points.get(name)) is not None:
            return found
        group, asked = self.group, _REPEATED.fullmatch(name)
        if group is None:
            raise ConfigError(f"SunSpec model {self.id} has no point {name!r}")
        if asked is not None and asked["group"] == group.name and asked["point"] in group.points:
            return group.point(asked["point"], int(asked["nth"]))
        example = group.named(next(iter(group.points)), 1)
        raise ConfigError(
            f"SunSpec model {self.id} has no point {name!r}; of its group, for instance {example}"
        )

    def repeated(self, times: int) -> Model:
        """The table of a device that has the group so often; the group's points are among the others then."""
        if self.group is None:
            return self
        group = self.group
        more = {
            group.named(name, nth): group.point(name, nth)
            for nth in range(1, times + 1)
            for name in group.points
        }
        return Model(
            id=self.id,
            length=self.length + times * group.size,
            points={**self.points, **more},
            group=group,
        )


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

    def scale_of(self, point: Point) -> Point | None:
        """The point that holds its scale factor; None when it has none."""
        return self.models[point.model].point(point.scale) if isinstance(point.scale, str) else None


def model_table(text: str) -> Model:
    """Build the table of one model from its published JSON.

    Fixed groups are laid out in place with names like `PFWInj.PF`. A group that repeats stays apart; what comes after it,
    and a group in which another one repeats, has no fixed place and is left out.
    """
    document = json.loads(text)
    builder = _Builder(int(document["id"]))
    builder.lay_out(document["group"], "", {})
    return Model(id=builder.model, length=builder.offset, points=builder.points, group=builder.group)


class _Builder:
    """Lays the points of one model out, one after the other."""

    def __init__(self, model: int) -> None:
        self.model, self.offset = model, 0
        self.points: dict[str, Point] = {}
        self.group: Group | None = None
        self._open = True
        """Nothing that repeats has been met: the next register is known."""

    def lay_out(self, group: Mapping[str, object], prefix: str, scales: Mapping[str, Point]) -> None:
        """Points of `group` from here on; `scales` are the scale factors of the groups around it."""
        first = len(self.points)
        for entry in _listed(group, "points"):
            name = prefix + str(entry["name"])
            scale = entry.get("sf")
            size = int(str(entry["size"]))
            self.points[name] = Point(
                model=self.model,
                name=name,
                offset=self.offset,
                size=size,
                type=str(entry["type"]),
                scale=scale if isinstance(scale, int) or scale is None else str(scale),
                writable=entry.get("access") == "RW",
            )
            self.offset += size
        own = list(self.points.values())[first:]
        scales = {**scales, **{p.name.removeprefix(prefix): p for p in own if p.type == "sunssf"}}
        self.points |= {point.name: self._scaled(point, scales) for point in own}
        for inner in _listed(group, "groups"):
            if inner.get("count", 1) == 1:
                if self._open:
                    self.lay_out(inner, f"{prefix}{inner['name']}.", scales)
            elif self._open:
                self._open = False
                self.group = self._repeating(inner, prefix, scales)

    def _scaled(self, point: Point, scales: Mapping[str, Point]) -> Point:
        found = scales.get(point.scale) if isinstance(point.scale, str) else None
        if found is None:
            return point
        along = None if self.model >= FIXED_SCALES_FROM else found.offset
        return replace(point, scale=found.name, scale_at=along)

    def _repeating(
        self, group: Mapping[str, object], prefix: str, scales: Mapping[str, Point]
    ) -> Group | None:
        """None when something repeats inside it as well."""
        if prefix:
            return None
        inner = _Builder(self.model)
        inner.lay_out(group, "", scales)
        if not inner._open:
            return None
        count = group.get("count")
        counts = [point.name for point in self.points.values() if point.type == "count"]
        counted_by = count if isinstance(count, str) else counts[0] if len(counts) == 1 else None
        return Group(
            name=str(group["name"]),
            offset=self.offset,
            size=inner.offset,
            counted_by=counted_by,
            points=inner.points,
        )


def _listed(group: Mapping[str, object], name: str) -> Sequence[Mapping[str, object]]:
    found = group.get(name, [])
    assert isinstance(found, list)
    return found
