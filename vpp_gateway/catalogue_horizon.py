"""Texts of `catalogue` about the rolling plan: what bound, what was left out. Key -> (English, Japanese)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

HORIZON: Final[Mapping[str, tuple[str, str]]] = {
    "why.bind.discharge": (
        "{device} at {site} discharges with all its power.",
        "{site} の {device} は最大出力で放電している。",
    ),
    "why.bind.charge": (
        "{device} at {site} charges with all its power.",
        "{site} の {device} は最大電力で充電している。",
    ),
    "why.bind.empty": (
        "{device} at {site} has no energy left above its floor.",
        "{site} の {device} は下限まで放電しきる。",
    ),
    "why.bind.full": (
        "{device} at {site} has no room left below its ceiling.",
        "{site} の {device} は上限まで充電しきる。",
    ),
    "why.bind.ramp": (
        "{device} at {site} cannot change its power faster.",
        "{site} の {device} はこれ以上速く出力を変えられない。",
    ),
    "why.bind.called": (
        "{offer} gives all that can be called of it.",
        "{offer} は呼び出せる全量を出している。",
    ),
    "why.bind.time": (
        "{offer} cannot begin sooner, or be held longer.",
        "{offer} はこれより早く始められないか、これより長く維持できない。",
    ),
    "why.bind.energy": (
        "{offer} has used up the energy that it may shift.",
        "{offer} は移せるエネルギーを使い切る。",
    ),
    "why.bind.kept": (
        "{kw} kW would be missing if {product} were called.",
        "{product} が発動されると {kw} kW が不足する。",
    ),
    "why.bind.bridge": (
        "The batteries cannot bridge {instruction} for as long as wanted.",
        "蓄電池は {instruction} を求められた時間だけつなぐことができない。",
    ),
    "why.bind.rebound": (
        "What {offer} has shifted cannot return in its time.",
        "{offer} が移した負荷は期限内に戻りきらない。",
    ),
    "why.bind.beyond": (
        "{site} goes beyond its limits by {kw} kW, whatever is done.",
        "{site} は何をしても制限を {kw} kW 超える。",
    ),
    "why.refused.part": (
        "The {kind} {name} is left out of the plan: {wrong}.",
        "{kind} {name} は計画から除く: {wrong}。",
    ),
    # --- what comes back when it is over -----------------------------------------------------------------------------
    "why.rebound.held": (
        "After its end the shifted work takes {kwh} kWh more at {site} within {minutes} min; batteries hold the import there at "
        "its baseline, as far as their energy goes.",
        "終了後 {minutes} 分のうちに、移した負荷が戻り、{site} で {kwh} kWh 余分に消費する。蓄電池が、残量の許す範囲で受電をベースラインに保つ。",
    ),
    "why.rebound.owed": (
        "After its end the shifted work takes {kwh} kWh more at {site} within {minutes} min; nothing holds the import there.",
        "終了後 {minutes} 分のうちに、移した負荷が戻り、{site} で {kwh} kWh 余分に消費する。受電を抑えるものはない。",
    ),
    "alarm.rebound": (
        "Shifted work comes back: {site} takes {kw} kW more than its baseline; batteries give {held} kW and cannot give more.",
        "移した負荷の復帰: {site} の受電がベースラインを {kw} kW 超えている。蓄電池は {held} kW を放電中で、これ以上は出せない。",
    ),
}
