"""Texts of `catalogue` on who rules a site, on limits that are held, and on seconds that do not count.

Key -> (English, Japanese).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

RULING: Final[Mapping[str, tuple[str, str]]] = {
    # --- who rules a site ----------------------------------------------------------------------------------------
    "why.phase.taken": (
        "{site} is ruled by {other}, which is more urgent.",
        "{site} は、より優先度の高い {other} に従う。",
    ),
    "why.phase.taken_earlier": (
        "{site} is ruled by {other}, which has the same priority and begins earlier.",
        "{site} は、優先度が同じで先に始まった {other} に従う。",
    ),
    "why.phase.taken_received": (
        "{site} is ruled by {other}, which has the same priority, begins at the same time and was received earlier.",
        "{site} は、優先度と開始が同じで先に受信した {other} に従う。",
    ),
    "why.phase.taken_named": (
        "{site} is ruled by {other}: priority, start and reception are the same, and its name comes first.",
        "{site} は {other} に従う(優先度・開始・受信時刻が同じため、名前の順)。",
    ),
    "why.phase.given_back": (
        "{site} is no longer ruled by {other} and counts here again.",
        "{site} は {other} から戻り、再びここに数える。",
    ),
    "why.opt.held": (
        "in that time {sites} is ruled by {other}, which goes before it",
        "その間は、先に従うべき {other} が {sites} を使う",
    ),
    # --- what counts ---------------------------------------------------------------------------------------------
    "why.over.elsewhere": (
        "{other} ruled {site} for {seconds} s of it: what the site gave then counts for {other} alone.",
        "このうち {seconds} 秒、{site} は {other} に従った。その間に {site} が出した分は {other} だけに数える。",
    ),
    "why.over.not_counted": (
        "{seconds} s in which others ruled all of its sites are not counted.",
        "対象拠点すべてが他の指令に従った {seconds} 秒は数えない。",
    ),
    "why.over.limited": (
        "{other} limits {sites} in its time, and a limit goes before every order.",
        "その間 {other} が {sites} に上限を課す。上限の指令はほかのすべてに優先する。",
    ),
    "why.over.too_short": (
        "No second was counted, so nothing can be judged: seconds count from the 10th after the start on.",
        "数えた秒がないため判定できない。開始 10 秒後からの秒だけを数える。",
    ),
    "why.over.none_counted": (
        "No second was counted, so nothing can be judged: seconds count from the 10th after the start on, while it rules a "
        "site and its baseline is known.",
        "数えた秒がないため判定できない。開始 10 秒後から、拠点を使いベースラインが分かる秒だけを数える。",
    ),
    "why.over.completed": (
        "Over: {kw} of {total_kw} kW on the average, {percent} of the counted seconds within 10 %, {other_kw} kW missing on "
        "the average.",
        "終了: 平均 {kw} kW(目標 {total_kw} kW)、数えた秒の {percent} が ±10 % 以内、平均不足量 {other_kw} kW。",
    ),
    "why.over.cancelled": (
        "Cancelled: {kw} of {total_kw} kW on the average until then, {percent} of the counted seconds within 10 %, "
        "{other_kw} kW missing on the average.",
        "取消: それまでの平均 {kw} kW(目標 {total_kw} kW)、数えた秒の {percent} が ±10 % 以内、平均不足量 {other_kw} kW。",
    ),
    "why.over.completed_unmeasured": (
        "Over; no second was counted: seconds count from the 10th after the start on, while it rules a site.",
        "終了。数えた秒はない(開始 10 秒後から、拠点を使う秒だけを数える)。",
    ),
    "why.over.cancelled_unmeasured": (
        "Cancelled; no second was counted: seconds count from the 10th after the start on, while it rules a site.",
        "取消。数えた秒はない(開始 10 秒後から、拠点を使う秒だけを数える)。",
    ),
    # --- limits --------------------------------------------------------------------------------------------------
    "why.over.limit_completed": ("The limit is over.", "上限の指令は終わった。"),
    "why.over.limit_cancelled": ("The limit was cancelled.", "上限の指令は取り消された。"),
    "why.limit.held": (
        "Held at {site}: {way} of {kw} kW on the average, {total_kw} kW at most are allowed; at the tightest second {other_kw} "
        "kW were left.",
        "{site} では上限を守った: {way}は平均 {kw} kW(上限 {total_kw} kW)、最も近い秒でも {other_kw} kW の余力があった。",
    ),
    "why.limit.held_near": (
        "Held at {site}: {way} of {kw} kW on the average, {total_kw} kW at most are allowed; above it in {count} of {seconds} s, "
        "by {other_kw} kW at most, which is within the tolerance of 1 %.",
        "{site} では上限を守った: {way}は平均 {kw} kW(上限 {total_kw} kW)、{seconds} 秒のうち {count} 秒で最大 {other_kw} kW "
        "超えたが、許容差 1 % の範囲内。",
    ),
    "why.limit.broken": (
        "Not held at {site}: {way} of {kw} kW on the average, {total_kw} kW at most are allowed; above it in {count} of "
        "{seconds} s, by {other_kw} kW at most; by more than the tolerance of 1 % in {broken} s.",
        "{site} では上限を守れなかった: {way}は平均 {kw} kW(上限 {total_kw} kW)、{seconds} 秒のうち {count} 秒で最大 "
        "{other_kw} kW 超え、許容差 1 % を超えたのは {broken} 秒。",
    ),
    "why.limit.unseen": (
        "For {seconds} s no meter showed {site}: that the limit was held then is not proven.",
        "{site} は {seconds} 秒の間、計量値が得られず、その間に上限を守ったことは証明できない。",
    ),
    "why.limit.passed": (
        "{site} passes its limit: {way} of {kw} kW, {total_kw} kW at most are allowed ({other_kw} kW too much).",
        "{site} が上限を超えた: {way} {kw} kW(上限 {total_kw} kW、超過 {other_kw} kW)。",
    ),
    "why.limit.kept_again": (
        "{site} is within its limit again.",
        "{site} は再び上限の範囲内。",
    ),
    "word.way.import": ("import", "受電電力"),
    "word.way.export": ("export", "逆潮流"),
    "events.why.row.limit": ("limit", "上限"),
    "events.why.row.ruled": ("ruled elsewhere", "他の指令"),
    "events.why.site_limit": (
        "{site}: {way} {kw} kW, {total_kw} kW at most are allowed: margin {margin_kw} kW; its batteries give {battery_kw} kW",
        "{site}: {way} {kw} kW、上限 {total_kw} kW、余力 {margin_kw} kW。蓄電池は {battery_kw} kW を出している",
    ),
    "events.why.not_asked": (
        "{mw} MW, but not in this second: others rule all of its sites, and it is not counted",
        "{mw} MW(ただしこの秒は対象拠点すべてが他の指令に従うため、求めず、数えない)",
    ),
    "why.band.limited": (
        "More than 10 % off the order at the meters: {kw} instead of {total_kw} kW, because a limit goes before it.",
        "メーターで指令から 10 % を超えて外れた: {total_kw} kW に対し {kw} kW。上限の指令が先に立つため。",
    ),
    # --- ordered and given ---------------------------------------------------------------------------------------
    "events.why.row.cost": ("cost", "費用"),
    "events.why.cost": (
        "relative price of 1 kW inside a tier, without a unit; what is ordered already counts half of its own in a plan, so that "
        "work is not moved to and fro",
        "同じ段のなかでの 1 kW あたりの相対価格(単位なし)。命令済みのものは、行き来を避けるため計画では半額で比べる",
    ),
    "events.why.given": ("{said} It gives {kw} kW.", "{said} 実績は {kw} kW。"),
    "word.tier.work_rest": ("workload and rest", "ワークロードシフトとその他"),
}
