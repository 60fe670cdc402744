"""The result of a play as a picture: for each event who carried what and when the work took over, and the SoC below.

    regulation  ^   batteries by site (blue), workload (orange), PV (yellow), rest (grey), stacked; target with its band;
    of an event |   delivered at the meters (black); hand-overs from the order to the end, by number, listed beside it
    SoC         v   of every site

Needs matplotlib, the extra `[simulate]`; this module alone knows it. Nothing is shown on a screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vpp_gateway.catalogue import Lang, Told, text, word
from vpp_gateway.domain.instruction import Limit, SiteId
from vpp_gateway.whatif.course import Course
from vpp_gateway.whatif.judge import EventResult, Sample
from vpp_gateway.whatif.picture_limit import limit_panel, limit_rows
from vpp_gateway.whatif.picture_series import Band, bands, panel_samples
from vpp_gateway.whatif.scenario import faults_of
from vpp_gateway.whatif.world import Play

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BEFORE_S, AFTER_S = 30.0, 60.0
"""So much is shown around the events."""
PANELS_MAX = 6
WIDTH_IN, PANEL_IN, SOC_IN = 11.0, 3.6, 1.9
DPI = 110
BLUES = ("#1f4e9c", "#4f86d9", "#8fb8f0", "#c3daf8")
ORANGES = ("#b4500b", "#e87d1e", "#f5ab63", "#fad5ae")
YELLOWS = ("#e6b800", "#f2d65c", "#f8e9a8")
GREY, BLACK, GREEN, RED, HAND_OVER = "#b8b8b8", "#111111", "#1a7f37", "#c62828", "#7b1fa2"
NUMBER_SHARE, ROW_SHARE = 0.018, 0.06
"""Of a panel's width and height: the room of a hand-over's number."""
LEGEND_LINES = 18
"""So many lines of a legend stand beside a panel."""
JAPANESE = ("Noto Sans CJK JP", "Noto Sans JP", "IPAexGothic", "IPAGothic", "TakaoGothic", "VL Gothic")
"""Fonts with Japanese signs, the first installed one is taken."""


def has_matplotlib() -> bool:
    """Whether the extra `[simulate]` is installed."""
    from importlib.util import find_spec

    return find_spec("matplotlib") is not None


def japanese_font() -> str | None:
    """An installed font that can write Japanese."""
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return next((name for name in JAPANESE if name in installed), None)


def draw(path: Path, play: Play, course: Course, judged: Sequence[EventResult], lang: Lang) -> None:
    """Write the picture as PNG.

    Raises:
        Told: the file cannot be written.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    font = japanese_font() if lang == "ja" else None
    panels = [*_panels(play, judged), *limit_rows(judged)][:PANELS_MAX]
    rows = [row for panel in panels for row in panel]
    since_s = min((row.asked.start_s for row in rows), default=0.0) - BEFORE_S
    until_s = max((row.asked.end_s for row in rows), default=play.end_s) + AFTER_S
    with mpl.rc_context({"font.family": font or "DejaVu Sans", "axes.unicode_minus": font is None}):
        height_in = PANEL_IN * len(panels) + SOC_IN + 0.9
        figure = Figure(figsize=(WIDTH_IN, height_in), dpi=DPI, layout="constrained")
        ratios = [*(PANEL_IN for _ in panels), SOC_IN]
        axes = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
        for axis, panel in zip(axes, panels, strict=False):
            if panel[0].limits:
                limit_panel(axis, course, panel[0], (since_s, until_s), lang)
                continue
            samples = panel_samples(play, course, panel, judged, (since_s, until_s))
            found = bands(panel, NUMBER_SHARE * (until_s - since_s))
            _panel(axis, panel, samples, found, play.scope_of(panel[0].asked), lang)
        _soc(axes[-1], play, course, (since_s, until_s), lang)
        for axis in axes:
            _failures(axis, play, lang, said=axis is axes[0])
        axes[-1].set_xlabel(text("whatif.picture.time", lang))
        axes[-1].set_xlim(since_s, until_s)
        said = text("whatif.picture.modelled", lang, seed=play.seed)
        figure.suptitle(f"{play.name} ({said})", fontsize=11, x=0.01, ha="left")
        try:
            figure.savefig(path, format="png")
        except OSError as error:
            raise Told("whatif.no_png", path=path, why=error.strerror or error) from None


def _panels(play: Play, judged: Sequence[EventResult]) -> list[list[EventResult]]:
    """Events of the same sites share a panel, in time order."""
    panels: dict[tuple[SiteId, ...], list[EventResult]] = {}
    for row in sorted(judged, key=lambda row: row.asked.start_s):
        if row.samples and not isinstance(row.asked.demand, Limit):
            panels.setdefault(play.scope_of(row.asked), []).append(row)
    return list(panels.values())


def _panel(
    axis: Axes,
    rows: Sequence[EventResult],
    samples: Sequence[Sample],
    found: Sequence[Band],
    scope: Sequence[SiteId],
    lang: Lang,
) -> None:
    at = [s.at_s for s in samples]
    layers = _layers(samples, scope, lang)
    for sign in (1.0, -1.0):
        heights = [[max(0.0, sign * w) * sign / 1e6 for w in series] for _, _, series in layers]
        colours = [colour for _, colour, _ in layers]
        axis.stackplot(at, heights, colors=colours, linewidth=0.0, step="post")
    target = [s.target_w / 1e6 for s in samples]
    for edge in (0.9, 1.1):
        band = [edge * w for w in target]
        axis.plot(at, band, color=GREEN, linewidth=0.7, linestyle="--", drawstyle="steps-post")
    axis.plot(at, target, color=GREEN, linewidth=1.6, drawstyle="steps-post")
    axis.plot(at, [s.delivered_w / 1e6 for s in samples], color=BLACK, linewidth=1.1)
    axis.axhline(0.0, color=BLACK, linewidth=0.5)
    axis.set_ylabel(text("whatif.picture.regulation", lang))
    _reach(axis, [*target, *(s.delivered_w / 1e6 for s in samples)], layers)
    axis.set_title("\n".join(_title(row, lang) for row in rows), fontsize=9, loc="left")
    _hand_overs(axis, found)
    _legend(axis, layers, found, lang)


def _title(row: EventResult, lang: Lang) -> str:
    share = row.share_within
    within = "" if share is None else f"   {text('whatif.column.within', lang)}: {share:.1%}"
    return f"{row.asked.name}: {row.asked.said or ''}{within}"


def _layers(
    samples: Sequence[Sample], scope: Sequence[SiteId], lang: Lang
) -> list[tuple[str, str, list[float]]]:
    """(name, colour, W each second), from the bottom of the stack; what never gives anything is left out."""
    layers = []
    for tier, colours in (("battery", BLUES), ("workload", ORANGES), ("pv", YELLOWS)):
        for index, site in enumerate(scope):
            series = [s.carried_w.get((tier, site), 0.0) for s in samples]
            if any(abs(w) > 1.0 for w in series):
                layers.append((f"{word('tier', tier, lang)} {site}", colours[index % len(colours)], series))
    layers.append((word("tier", "rest", lang), GREY, [s.tiers_w["rest"] for s in samples]))
    return layers


def _reach(axis: Axes, lines: Sequence[float], layers: Sequence[tuple[str, str, list[float]]]) -> None:
    """Room for the stack and, above it, for the numbers of the hand-overs."""
    columns = list(zip(*(series for _, _, series in layers), strict=True))
    top = max([0.0, *lines, *(sum(w for w in column if w > 0) / 1e6 for column in columns)])
    bottom = min([0.0, *lines, *(sum(w for w in column if w < 0) / 1e6 for column in columns)])
    span = max(top - bottom, 1e-3)
    axis.set_ylim(bottom - 0.12 * span, top + 0.24 * span)


def _hand_overs(axis: Axes, found: Sequence[Band]) -> None:
    """When work was ordered (dotted) and when it had taken over from the batteries (solid), by number."""
    for band in found:
        over = band.over
        axis.axvline(over.ordered_s, color=HAND_OVER, linewidth=1.3, linestyle=":")
        axis.axvline(over.real_s, color=HAND_OVER, linewidth=1.3)
        axis.axvspan(over.ordered_s, over.real_s, color=HAND_OVER, alpha=0.12, linewidth=0.0, zorder=0)
        if band.row is not None:
            axis.annotate(
                f" {band.number}",
                (over.real_s, 0.985 - ROW_SHARE * band.row),
                xycoords=("data", "axes fraction"),
                va="top",
                fontsize=8,
                color=HAND_OVER,
            )


def _listed(found: Sequence[Band], most: int, lang: Lang) -> list[str]:
    """The hand-overs of a panel as lines of its legend, on the clock of the axis."""
    if not found:
        return []
    several = len({band.name for band in found}) > 1
    lines = [
        (f"{band.name} " if several else "")
        + text(
            "whatif.picture.hand_over",
            lang,
            number=band.number,
            mw=f"{band.over.work_w / 1e6:+.2f}",
            ordered=f"{band.over.ordered_s:.0f}",
            real=f"{band.over.real_s:.0f}",
        )
        for band in found
    ]
    if len(lines) > most:
        more = text("whatif.picture.hand_overs_more", lang, count=len(lines) - most + 1)
        lines = [*lines[: most - 1], more]
    return [text("whatif.picture.hand_overs", lang), *lines]


def _failures(axis: Axes, play: Play, lang: Lang, *, said: bool) -> None:
    for fault in faults_of(play):
        axis.axvline(fault.at_s, color=RED, linewidth=1.2, linestyle="-.")
        if fault.for_s is not None:
            axis.axvspan(fault.at_s, fault.at_s + fault.for_s, color=RED, alpha=0.12, linewidth=0.0, zorder=0)
        if said:
            what = f"{word('fault', fault.what, lang)} {fault.where}"
            axis.annotate(
                f" {text('whatif.picture.failure', lang, what=what)}",
                (fault.at_s, 0.02),
                xycoords=("data", "axes fraction"),
                va="bottom",
                fontsize=8,
                color=RED,
            )


def _soc(axis: Axes, play: Play, course: Course, window: tuple[float, float], lang: Lang) -> None:
    seconds = [s for s in course.seconds if window[0] <= s.at_s <= window[1]]
    at = [s.at_s for s in seconds]
    for index, site in enumerate(play.fleet.sites):
        energy = sum(battery.energy_wh for battery in site.batteries)
        if energy:
            mean = [
                100.0 * sum(s.soc[battery.id] * battery.energy_wh for battery in site.batteries) / energy
                for s in seconds
            ]
            style = ("-", "--", "-.", ":")[index % 4]
            axis.plot(at, mean, color=BLUES[index % 3], linewidth=1.5, linestyle=style, label=site.id)
    axis.set_ylabel(text("whatif.picture.soc", lang))
    axis.margins(y=0.25)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.005, 0.5), frameon=False)


def _legend(
    axis: Axes, layers: Sequence[tuple[str, str, list[float]]], found: Sequence[Band], lang: Lang
) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Line2D | Patch] = [
        Line2D([], [], color=BLACK, linewidth=1.1, label=text("whatif.picture.delivered", lang)),
        Line2D([], [], color=GREEN, linewidth=1.6, label=text("whatif.picture.target", lang)),
    ]
    handles += [Patch(facecolor=colour, label=name) for name, colour, _ in reversed(layers)]
    listed = _listed(found, LEGEND_LINES - 1 - len(handles), lang)
    handles += [
        Patch(facecolor=HAND_OVER, alpha=0.12, label=line)
        if n == 0
        else Line2D([], [], linestyle="none", label=line)
        for n, line in enumerate(listed)
    ]
    legend = axis.legend(
        handles=handles, fontsize=8, loc="center left", bbox_to_anchor=(1.005, 0.5), frameon=False
    )
    for line in legend.get_texts()[len(handles) - len(listed) :]:
        line.set_color(HAND_OVER)
    axis.grid(alpha=0.25)
