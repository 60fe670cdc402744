"""Texts about what can be offered: `vpp-gateway capacity`, and what is wrong in products, feeders, blocked times and
awards. Key -> (English, Japanese)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CAPACITY: Final[Mapping[str, tuple[str, str]]] = {
    # --- what is wrong in a file ---------------------------------------------------------------------------------
    "problem.moment": (
        "is {found}; allowed: date and time with the offset from UTC, for instance 2026-12-24T09:00+09:00",
        "{found} です。UTC との時差を付けた日時を書いてください(例: 2026-12-24T09:00+09:00)",
    ),
    "problem.day": (
        "is {found}; allowed: a date, for instance 2026-03-14",
        "{found} です。日付を書いてください(例: 2026-03-14)",
    ),
    "problem.span_order": (
        "must end after it begins: {since} to {until}",
        "終わりは始まりより後でなければなりません: {since}〜{until}",
    ),
    "problem.blocked_kind": (
        "a blocked time is either once (since and until) or every week (days, with start and end)",
        "使用停止時間は、一回(since と until)か毎週(days と start・end)の一方です",
    ),
    "problem.unknown_battery": (
        "is {found}, which is no battery of this site; allowed: {allowed}",
        "{found} はこの拠点の蓄電池ではありません。使えるもの: {allowed}",
    ),
    "problem.unknown_area": (
        "is {found}, but no site lies in this area; allowed: {allowed}",
        "{found} というエリアに拠点はありません。使えるもの: {allowed}",
    ),
    "problem.two_feeders": (
        "{found} stands on two feeders, see {other} (line {line}); keep one",
        "{found} が 2 つのフィーダーにあります({line} 行目 {other})。1 つにしてください",
    ),
    "problem.load_order": (
        "the least load ({low} kW) is above the greatest ({high} kW)",
        "最小の負荷({low} kW)が最大の負荷({high} kW)を超えています",
    ),
    "problem.unknown_source": (
        "is {found}, which stands under no `source` of this file; allowed: {allowed}",
        "{found} はこのファイルの `source` にありません。使えるもの: {allowed}",
    ),
    "problem.product_overlap": (
        "holds on days on which the value in line {line} ({other}) holds too; a day has one value",
        "{line} 行目({other})の値と期間が重なっています。1 日に値は 1 つです",
    ),
    "problem.product_needs": (
        "is missing; a product needs directions, response_s and sustain_s, a composite needs members",
        "必須です。商品には directions、response_s、sustain_s、複合商品には members が必要です",
    ),
    "problem.product_mark": (
        "is {found}, but the least checked figure of this file is {allowed}",
        "{found} ですが、このファイルで最も確認の浅い値は {allowed} です",
    ),
    "problem.product_members": (
        "a composite has at least two different members",
        "複合商品には異なる構成商品が 2 つ以上必要です",
    ),
    "problem.product_own_figures": (
        "a composite takes this from its members; remove it here",
        "複合商品では構成商品の値を使います。ここからは削除してください",
    ),
    "problem.product_nested": (
        "a member of a composite cannot be a composite itself",
        "複合商品の構成商品に複合商品は使えません",
    ),
}
