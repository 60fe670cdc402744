"""Texts of the commands `messages`, English and Japanese."""

from __future__ import annotations

from typing import Final

MESSAGES: Final[dict[str, tuple[str, str]]] = {
    "messages.none": ("no message on record that fits", "条件に合うメッセージの記録はありません"),
    "messages.unknown": ("no message {found} on record", "メッセージ {found} の記録はありません"),
    "messages.unreadable": ("{why}", "メッセージの記録を読み取れません：{why}"),
    "messages.exported": ("{count} messages in {where}", "{count} 件のメッセージを {where} に保存しました"),
    "messages.exists": (
        "{where} is there already; choose another name",
        "{where} は既にあります。別の名前を指定してください",
    ),
    "messages.unwritable": ("{where} cannot be written: {why}", "{where} に書き込めません：{why}"),
    "messages.bad_time": (
        "expected a time like 2026-01-31T09:00:00Z or 2h (ago), found '{found}'",
        "時刻は 2026-01-31T09:00:00Z または 2h（前）の形で指定してください：'{found}'",
    ),
    "messages.column.id": ("No.", "番号"),
    "messages.column.at": ("Time (UTC)", "時刻（UTC）"),
    "messages.column.room": ("Connection", "接続"),
    "messages.column.direction": ("Way", "方向"),
    "messages.column.name": ("Message", "メッセージ"),
    "messages.column.verdict": ("Verdict", "判定"),
    "messages.column.rules": ("Rules", "規則"),
    "messages.field.at": ("Time (UTC)", "時刻（UTC）"),
    "messages.field.room": ("connection", "接続"),
    "messages.field.url": ("address", "アドレス"),
    "messages.field.status": ("HTTP status", "HTTP ステータス"),
    "messages.field.schema": ("schema", "スキーマ"),
    "messages.field.signature": ("signature", "署名"),
    "messages.field.failure": ("not acted on", "不採用の理由"),
    "messages.field.rules": ("rules touched", "関係する規則"),
    "messages.field.pair": ("exchange", "交信"),
    "messages.ok": ("ok", "正常"),
}
"""Key -> (English, Japanese)."""
