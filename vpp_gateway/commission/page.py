"""The commissioning report as one page: HTML that needs nothing else, in English or Japanese, to be printed and filed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape

from vpp_gateway.catalogue import Lang, text

_STYLE = """
body{font:14px/1.45 system-ui,"Hiragino Sans","Noto Sans JP",sans-serif;color:#111;max-width:46rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.35rem;margin:0}h2{font-size:1rem;margin:1.2rem 0 .3rem}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #ccc;padding:.2rem .5rem .2rem 0;text-align:left;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.ok{color:#0a6b2d}.bad{color:#b00020}.note{color:#555;font-size:.85rem;overflow-wrap:anywhere}svg{width:100%;height:auto}
@media print{body{margin:0}}
"""
_WIDTH, _HEIGHT, _LEFT = 720.0, 150.0, 52.0


def page(report: Mapping[str, object], lang: Lang) -> str:
    """The page of a signed report, as `report.document` and `report.sign` make it."""
    say = _Say(lang)
    device, signature = _map(report["device"]), _map(report.get("signature"))
    passed = report["passed"] is True
    title = say("title", device=str(device["name"]))
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="{"ok" if passed else "bad"}"><b>{escape(say("passed" if passed else "failed"))}</b></p>',
    ]
    if report["modelled"] is True:
        parts.append(f'<p class="bad">{escape(say("modelled"))}</p>')
    parts += [_facts(report, say), _steps(report, say), _failsafe(report, say), _measured(report, say)]
    parts.append(f'<p class="note">{escape(say("signed", **{k: str(v) for k, v in signature.items()}))}</p>')
    body = "\n".join(parts)
    return (
        f'<!doctype html><html lang="{lang}"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><body>\n{body}\n</body></html>\n"
    )


class _Say:
    """Texts of the page in one language."""

    def __init__(self, lang: Lang) -> None:
        self._lang: Lang = lang

    def __call__(self, name: str, **values: str) -> str:
        return text(f"device.report.{name}", self._lang, **values)


Say = Callable[..., str]


def _map(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[Mapping[str, object]]:
    return [_map(one) for one in value] if isinstance(value, list | tuple) else []


def _number(value: object, digits: int = 1) -> str:
    return f"{float(value):,.{digits}f}" if isinstance(value, int | float) else "–"


def _table(rows: Sequence[tuple[str, str]]) -> str:
    said = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<table>{said}</table>"


def _facts(report: Mapping[str, object], say: Say) -> str:
    device, profile, plate = _map(report["device"]), _map(report["profile"]), _map(report["nameplate"])
    at = datetime.fromtimestamp(float(str(report["at"])), UTC).strftime("%Y-%m-%d %H:%M UTC")
    who = " ".join(str(device.get(word) or "") for word in ("maker", "model", "version", "serial")).strip()
    rows = [
        (say("device"), f"{device['name']}, {device['address']}, unit {device['unit']}"),
        (say("identity"), who or "–"),
        (say("profile"), f"{profile['name']} ({profile['grade']}, {profile['verified']})"),
        (
            say("nameplate"),
            f"{_number(plate['discharge_max_w'], 0)} W / {_number(plate['charge_max_w'], 0)} W / "
            f"{_number(plate['energy_wh'], 0)} Wh",
        ),
        (say("when"), at),
        (say("by"), str(report["by"]) or "–"),
        (say("gateway"), str(report["gateway"])),
    ]
    return _table(rows)


def _steps(report: Mapping[str, object], say: Say) -> str:
    steps = _list(report["steps"])
    columns = ("asked", "confirmed", "acknowledged", "moved", "arrived", "ramp", "held", "meter", "verdict")
    head = "".join(f'<th class="n">{escape(say(f"step.{column}"))}</th>' for column in columns)
    rows = ""
    for step in steps:
        faults = step["faults"] if isinstance(step["faults"], list) else []
        verdict = ", ".join(say(f"fault.{fault}") for fault in faults) or say("step.obeyed")
        cells = [
            _number(step["to_w"], 0),
            _number(step["confirmed_w"], 0),
            _number(step["acknowledged_s"], 2),
            _number(step["moved_s"]),
            _number(step["arrived_s"]),
            _number(step["ramp_w_per_s"], 0),
            _number(step["held_w"], 0),
            _number(step["meter_w"], 0),
        ]
        row = "".join(f'<td class="n">{escape(cell)}</td>' for cell in cells)
        rows += f'<tr>{row}<td class="{"bad" if faults else "ok"}">{escape(verdict)}</td></tr>'
        if step["refusal"]:
            rows += f'<tr><td colspan="9" class="note">{escape(str(step["refusal"]))}</td></tr>'
    curve: list[tuple[float, float]] = []
    wanted: list[tuple[float, float]] = []
    start_s = 0.0
    for step in steps:
        samples = _list(step["samples"])
        points = [(start_s + _float(one["at"]), _float(one["discharge_w"])) for one in samples]
        end_s = max((at for at, _ in points), default=start_s)
        curve += points
        wanted += [(start_s, _float(step["to_w"])), (end_s, _float(step["to_w"]))]
        start_s = end_s
    return f"<h2>{escape(say('steps'))}</h2><table><tr>{head}</tr>{rows}</table>{_chart(curve, wanted, say)}"


def _failsafe(report: Mapping[str, object], say: Say) -> str:
    found = _map(report["failsafe"])
    if not found:
        return f'<h2>{escape(say("failsafe"))}</h2><p class="bad">{escape(say("failsafe.none"))}</p>'
    looks = _list(found["looks"])
    curve = [
        (_float(one["at"]), _float(one["discharge_w"])) for one in looks if one["discharge_w"] is not None
    ]
    ends_s = max((at for at, _ in curve), default=0.0)
    rest = [(0.0, _float(found["rest_w"])), (ends_s, _float(found["rest_w"]))]
    promised = (
        say("failsafe.nothing") if found["promised_s"] is None else f"{_number(found['promised_s'], 0)} s"
    )
    rows = [
        (say("failsafe.setpoint"), f"{_number(found['setpoint_w'], 0)} W"),
        (say("failsafe.promised"), promised),
        (
            say("failsafe.back"),
            say("failsafe.not") if found["back_s"] is None else f"{_number(found['back_s'])} s",
        ),
        (say("failsafe.verdict"), say(f"verdict.{found['verdict']}")),
    ]
    return f"<h2>{escape(say('failsafe'))}</h2>{_table(rows)}{_chart(curve, rest, say)}"


def _measured(report: Mapping[str, object], say: Say) -> str:
    found = _map(report["measured"])
    share = found["error_share"]
    rows = [
        (say("measured.response"), f"{_number(found['response_s'])} s"),
        (say("measured.latency"), f"{_number(found['latency_s'])} s"),
        (say("measured.ramp"), f"{_number(found['ramp_w_per_s'], 0)} W/s"),
        (say("measured.error"), f"{_number(100 * _float(share), 1) if share is not None else '–'} %"),
        (say("measured.reversion"), f"{_number(found['reversion_s'])} s"),
    ]
    return f"<h2>{escape(say('measured'))}</h2>{_table(rows)}"


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _chart(curve: Sequence[tuple[float, float]], wanted: Sequence[tuple[float, float]], say: Say) -> str:
    """Power over time: what was (solid) and what was to be (dashed)."""
    if len(curve) < 2:
        return ""
    ends_s = max(at for at, _ in (*curve, *wanted)) or 1.0
    top = max(max(w for _, w in (*curve, *wanted)), 0.0)
    low = min(min(w for _, w in (*curve, *wanted)), 0.0)
    span_w = (top - low) or 1.0

    def place(at: float, w: float) -> str:
        x = _LEFT + (_WIDTH - _LEFT - 8) * at / ends_s
        y = 8 + (_HEIGHT - 32) * (top - w) / span_w
        return f"{x:.1f},{y:.1f}"

    def line(points: Sequence[tuple[float, float]], style: str) -> str:
        return f'<polyline fill="none" {style} points="{" ".join(place(at, w) for at, w in points)}"/>'

    def label(x: float, w: float) -> str:
        y = place(0.0, w).split(",")[1]
        return f'<text x="{x:.0f}" y="{y}" font-size="11" text-anchor="end" dominant-baseline="middle">{w:,.0f}</text>'

    marks = "".join(label(_LEFT - 6, w) for w in sorted({top, 0.0, low}))
    zero = line([(0.0, 0.0), (ends_s, 0.0)], 'stroke="#bbb"')
    foot = (
        f'<text x="{_WIDTH - 8:.0f}" y="{_HEIGHT - 6:.0f}" font-size="11" text-anchor="end">'
        f"{escape(say('chart', seconds=f'{ends_s:.0f}'))}</text>"
    )
    drawn = line(wanted, 'stroke="#777" stroke-dasharray="4 3"') + line(
        curve, 'stroke="#0b57d0" stroke-width="1.6"'
    )
    return f'<svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img">{zero}{marks}{drawn}{foot}</svg>'
