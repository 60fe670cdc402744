"""Texts about what can be offered: `vpp-gateway capacity`, and what is wrong in products, feeders, links, blocked times and
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
    "problem.link_to_itself": (
        "{found} joins a site to itself; a link joins two sites",
        "{found} は同じ拠点どうしです。2 つの拠点を書いてください",
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
    # --- the command ---------------------------------------------------------------------------------------------
    "capacity.unknown_product": (
        "no product is called {found}; known: {known}",
        "商品 {found} はありません。あるもの: {known}",
    ),
    "capacity.unknown_area": (
        "no site lies in area {found}; known: {known}",
        "エリア {found} に拠点はありません。あるもの: {known}",
    ),
    "capacity.head": (
        "What can be offered from {since} to {until} JST; each quantity stands alone",
        "{since}〜{until} JST に供出できる量(それぞれ単独で供出する場合)",
    ),
    "capacity.product": (
        "{name}  {title}: full in {response}, held for {sustain}",
        "{name}  {title}: 応動 {response} 以内、継続 {sustain}",
    ),
    "capacity.bid": ("bids from {least} kW, in steps of {step} kW", "入札は {least} kW から {step} kW 単位"),
    "capacity.cap": ("price cap {price} ({unit})", "上限価格 {price}({unit})"),
    "capacity.unverified": (
        "figures not read in the market's own document ({mark}): not for bids",
        "市場の一次資料で確認していない数値({mark})のため、入札には使えません",
    ),
    "capacity.frequency": (
        "called by the frequency at the site, which this gateway does not follow: the quantity is power and energy alone",
        "拠点の周波数に自ら応動する商品ですが、このゲートウェイは周波数に応動しません。電力と電力量だけを見た量です",
    ),
    "capacity.factor": (
        "{area}, {direction}: {confidence} of deliveries keep {factor} of what is promised, by {events} past ones",
        "{area} {direction}: 過去 {events} 件の実績から、{confidence} の確率で約束の {factor} 以上",
    ),
    "capacity.no_history": (
        "No history: {confidence} confidence needs {needed} measured deliveries in an area and direction; the room itself is "
        "offered",
        "実績なし: 信頼度 {confidence} にはエリアと方向ごとに実績が {needed} 件必要です。余力をそのまま供出量としています",
    ),
    "capacity.short": (
        "Award {product}, {area}, {direction}, {kw} kW from {since}: {short} kW of it cannot be kept",
        "約定 {product} {area} {direction} {kw} kW({since} から): {short} kW を確保できません",
    ),
    "capacity.doubt": ("{device} counts for nothing: {limit}", "{device} は算入していません: {limit}"),
    "capacity.undefined": ("{product} does not exist in this time", "{product} はこの期間にはありません"),
    "capacity.nothing": (
        "no such product, area and direction",
        "その商品・エリア・方向の組み合わせはありません",
    ),
    "capacity.column.area": ("area", "エリア"),
    "capacity.column.direction": ("direction", "方向"),
    "capacity.column.blocks": ("blocks", "コマ"),
    "capacity.column.room": ("room kW", "余力 kW"),
    "capacity.column.offer": ("offer kW", "供出量 kW"),
    "capacity.column.limit": ("limited by", "制約"),
    # --- words ---------------------------------------------------------------------------------------------------
    "word.direction.both": ("both", "上下両方向"),
    "word.mark.primary": ("primary", "一次資料"),
    "word.mark.secondary": ("secondary", "二次資料"),
    "word.mark.unverified": ("unverified", "未確認"),
    "word.limit.power": ("power", "定格出力"),
    "word.limit.soc": ("state of charge", "充電率"),
    "word.limit.ramp": ("ramp", "出力変化速度"),
    "word.limit.response": ("response time", "応動の遅れ"),
    "word.limit.sustain": ("sustain time", "継続時間"),
    "word.limit.dwell": ("dwell", "最短継続時間"),
    "word.limit.validity": ("offer runs out", "オファーの期限"),
    "word.limit.blocked": ("blocked", "使用停止時間"),
    "word.limit.reading": ("no reading to rely on", "計測値なし"),
    "word.limit.settings": ("settings that cannot be true", "設定の誤り"),
    "word.limit.promised": ("promised already", "約定済み"),
    "word.limit.offer": ("offer that cannot be true", "オファーの誤り"),
    "word.limit.feeder": ("feeder", "フィーダー"),
    "word.limit.import": ("contracted import", "契約電力"),
    "word.limit.export": ("export limit", "逆潮流の上限"),
    "word.limit.load": ("load not known", "受電電力が不明"),
}
