"""What must agree among feeders, links, blocked times and awards; a part of `settings_rules`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from vpp_gateway.plain import View
from vpp_gateway.yaml_source import Finding
from vpp_gateway.yaml_validate import near


def feeders(root: View) -> Iterator[Finding]:
    """A feeder names batteries of its own site, each battery stands on one feeder, and its loads are in order."""
    for site in root["sites"].each():
        seen: dict[str, View] = {}
        for feeder in site["feeders"].each():
            yield from _batteries(site, feeder["devices"])
            for device in feeder["devices"].each():
                if (
                    device.text is not None
                    and (earlier := seen.setdefault(device.text, device)) is not device
                ):
                    values = (("found", device.text),)
                    yield Finding(
                        loc=device.loc, code="problem.two_feeders", values=values, other=earlier.loc
                    )
            low, high = feeder["load_min_kw"].number or 0.0, feeder["load_max_kw"].number or 0.0
            if low > high:
                order = (("low", f"{low:g}"), ("high", f"{high:g}"))
                yield Finding(loc=feeder["load_min_kw"].loc, code="problem.load_order", values=order)


def links(root: View) -> Iterator[Finding]:
    """A link joins two sites of the file, and each pair is joined once in each direction."""
    names = [name for site in root["sites"].each() if (name := site["id"].text) is not None]
    seen: dict[tuple[str, str], View] = {}
    for link in root["links"].each():
        source, destination = link["from_site"], link["to_site"]
        for view in (source, destination):
            if view.text is not None and view.text not in names:
                values = (("found", view.text), ("allowed", ", ".join(names) or "-"))
                yield Finding(
                    loc=view.loc, code="problem.unknown_site", values=values, near=near(view.text, names)
                )
        if source.text is None or destination.text is None:
            continue
        pair = (("found", f"{source.text} > {destination.text}"),)
        if source.text == destination.text:
            yield Finding(loc=destination.loc, code="problem.link_to_itself", values=pair)
        elif (earlier := seen.setdefault((source.text, destination.text), link)) is not link:
            yield Finding(loc=link.loc, code="problem.duplicate", values=pair, other=earlier.loc)


def blocked(root: View) -> Iterator[Finding]:
    """A blocked time is of one kind, whole, and names batteries of its site."""
    for site in root["sites"].each():
        for row in site["blocked"].each():
            yield from _batteries(site, row["devices"])
            once = [row[key].value is not None for key in ("since", "until")]
            days = any(True for _ in row["days"].each())
            weekly = days or row["start"].value is not None or row["end"].value is not None
            if any(once) == weekly or any(once) != all(once) or (weekly and not days):
                yield Finding(loc=row.loc, code="problem.blocked_kind")
            else:
                yield from _in_order(row)


def awards(root: View) -> Iterator[Finding]:
    """An award lies in an area that has a site, and ends after it begins."""
    areas = {site["area"].text: None for site in root["sites"].each()}
    names = [area for area in areas if area is not None]
    for award in root["capacity"]["awards"].each():
        area = award["area"]
        if area.text is not None and area.text not in names:
            values = (("found", area.text), ("allowed", ", ".join(names) or "-"))
            yield Finding(
                loc=area.loc, code="problem.unknown_area", values=values, near=near(area.text, names)
            )
        yield from _in_order(award)


def _batteries(site: View, devices: View) -> Iterator[Finding]:
    names = [name for battery in site["batteries"].each() if (name := battery["id"].text) is not None]
    for device in devices.each():
        if device.text is not None and device.text not in names:
            values = (("found", device.text), ("allowed", ", ".join(names) or "-"))
            yield Finding(
                loc=device.loc, code="problem.unknown_battery", values=values, near=near(device.text, names)
            )


def _in_order(row: View) -> Iterator[Finding]:
    since, until = _moments((row["since"], row["until"]))
    if since is not None and until is not None and since >= until:
        values = (("since", row["since"].text or ""), ("until", row["until"].text or ""))
        yield Finding(loc=row["until"].loc, code="problem.span_order", values=values)


def _moments(views: Iterable[View]) -> list[float | None]:
    """UTC (Unix s) of each; None where the field itself says what is wrong."""
    found: list[float | None] = []
    for view in views:
        try:
            known = datetime.fromisoformat(view.text or "")
        except ValueError:
            found.append(None)
        else:
            found.append(None if known.tzinfo is None else known.timestamp())
    return found
