"""Texts of `vpp-gateway ven`: the operator's acts on one connection to a utility. Key -> (English, Japanese)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

VEN: Final[Mapping[str, tuple[str, str]]] = {
    # --- what is not possible ------------------------------------------------------------------------------------
    "ven.no_room": (
        "the gateway has no connection to a utility; add one under `northbound`",
        "送配電事業者への接続がありません。`northbound` に追加してください",
    ),
    "ven.room_needed": (
        "the gateway has several connections; name one with --room: {known}",
        "接続が複数あります。--room で指定してください: {known}",
    ),
    "ven.unknown_room": (
        "no connection is called {found}; known: {known}",
        "接続 {found} はありません。あるもの: {known}",
    ),
    "ven.not_registered": (
        "{room} is not registered (state: {found}), so it cannot register anew; use `ven register`",
        "{room} は未登録(状態: {found})のため再登録できません。`ven register` を使ってください",
    ),
    "ven.unknown_event": (
        "no event {found}; known: {known}",
        "イベント {found} はありません。あるもの: {known}",
    ),
    "ven.event_cancelled": ("event {event} is cancelled", "イベント {event} は取り消し済みです"),
    "ven.event_over": ("event {event} is over", "イベント {event} は終了しています"),
    "ven.event_refused": (
        "event {event} was refused when it came, so there is nothing to opt in to or out of",
        "イベント {event} は受信時に拒否したため、応諾・拒否を変えられません",
    ),
    "ven.unknown_opt": ("no opt {found}; known: {known}", "opt {found} はありません。あるもの: {known}"),
    "ven.reason": (
        "optReason {found} is unknown; allowed: {allowed}, or x- and a word",
        "optReason {found} は使えません。使えるもの: {allowed}、または x- で始まる語",
    ),
    "ven.schedule_count": (
        "a schedule has 1 to {most} intervals, found {found}",
        "予定の区間は 1〜{most} 個です(指定: {found} 個)",
    ),
    "ven.schedule_duration": (
        "an interval lasts whole seconds, at least 1; found {found} s",
        "区間の長さは 1 以上の整数秒です(指定: {found} 秒)",
    ),
    "ven.schedule_over": ("every interval of the schedule is over", "予定の区間はすべて過ぎています"),
    "ven.schedule_overlap": ("intervals of the schedule overlap", "予定の区間が重なっています"),
    "ven.start": (
        "--start takes a time like 2026-07-01T09:00:00Z or 2026-07-01T18:00+09:00, found {found}",
        "--start は 2026-07-01T09:00:00Z や 2026-07-01T18:00+09:00 の形です(指定: {found})",
    ),
    "ven.what": (
        "an opt is for an event (--event) or for a schedule (--start with --duration, or --from-capacity): give one",
        "opt の対象は、イベント(--event)か予定(--start と --duration、または --from-capacity)の一方です",
    ),
    "ven.need": (
        "--from-capacity needs --need-kw, more than 0",
        "--from-capacity には 0 より大きい --need-kw が必要です",
    ),
    "ven.no_readings": (
        "no site can be read now, so the spare capacity is not known",
        "計測できる拠点がないため、余力が分かりません",
    ),
    "ven.unanswered": (
        "{room}: the utility has not answered within {seconds} s ({detail}); it goes on being asked",
        "{room}: {seconds} 秒以内に VTN の応答がありません({detail})。送信は続けます",
    ),
    "ven.opt_refused": (
        "the utility did not take opt {opt_id}: {detail}",
        "VTN は opt {opt_id} を受け付けませんでした: {detail}",
    ),
    # --- what was done -------------------------------------------------------------------------------------------
    "ven.done": ("{room}: {verb}: done", "{room}: {verb}: 受け付けました"),
    "ven.already": ("{room}: {verb}: nothing to do", "{room}: {verb}: 変更はありません"),
    "ven.state": ("{room}: {state}", "{room}:{state}"),
    "ven.opted": ("event {event}: {opt}", "イベント {event}: {opt}"),
    "ven.opt_made": ("opt {opt_id}: {opt}", "opt {opt_id} を作成: {opt}"),
    "ven.opt_gone": ("opt {opt_id}: cancelled", "opt {opt_id}: 取り消しました"),
    "ven.enough": (
        "{need_kw} kW can be held in every block; nothing is opted out of",
        "全区間で {need_kw} kW を維持できます。拒否の予定は送りません",
    ),
    "ven.no_events": ("no events", "イベントはありません"),
    "ven.no_opts": ("no opts", "opt はありません"),
    "ven.no_reports": ("no reports", "報告はありません"),
    "ven.event_line": (
        "{event}  mod {modification}  {status}  {start} – {end}  {opt}  {reason}",
        "{event}  変更番号 {modification}  {status}  {start} – {end}  {opt}  {reason}",
    ),
    "ven.opt_line": (
        "{opt_id}  {opt}  {reason}  {standing}  {what}",
        "{opt_id}  {opt}  {reason}  {standing}  {what}",
    ),
    "ven.report_line": (
        "{request_id}  {specifier_id}  every {granularity_s} s  sent up to {through}",
        "{request_id}  {specifier_id}  {granularity_s} 秒ごと  {through} まで送信済み",
    ),
    # --- words ---------------------------------------------------------------------------------------------------
    "word.ven.unregistered": ("unregistered", "未登録"),
    "word.ven.registering": ("registering", "登録中"),
    "word.ven.reporting": ("registering reports", "報告登録中"),
    "word.ven.registered": ("registered", "登録済み"),
    "word.ven.leaving": ("leaving", "登録解除中"),
    "word.ven.cancelled": ("cancelled", "登録解除済み"),
    "word.ven.far": ("far", "開始前"),
    "word.ven.near": ("near", "まもなく開始"),
    "word.ven.active": ("active", "実施中"),
    "word.ven.completed": ("completed", "終了"),
    "word.ven.none": ("refused", "拒否"),
    "word.ven.pending": ("not yet answered", "応答待ち"),
    "word.ven.taken": ("taken", "受付済み"),
    "word.ven.refused": ("refused", "拒否"),
    "word.ven.cancelling": ("being cancelled", "取り消し中"),
    "word.ven.optIn": ("optIn", "応諾(optIn)"),
    "word.ven.optOut": ("optOut", "拒否(optOut)"),
}
