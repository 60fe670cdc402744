"""Texts of `vpp-gateway device`: profiles, commissioning. Table of `catalogue`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

DEVICE: Final[Mapping[str, tuple[str, str]]] = {
    "device.column.name": ("profile", "プロファイル"),
    "device.column.kind": ("kind", "種別"),
    "device.column.vendor": ("vendor", "メーカー"),
    "device.column.models": ("products", "対象機種"),
    "device.column.grade": ("grade", "等級"),
    "device.column.verified": ("facts", "根拠"),
    "device.column.falls_back": ("falls back by itself", "自動復帰"),
    "word.kind.battery": ("battery", "蓄電池"),
    "word.kind.meter": ("meter", "計器"),
    "word.grade.bronze": ("bronze", "ブロンズ"),
    "word.grade.silver": ("silver", "シルバー"),
    "word.grade.gold": ("gold", "ゴールド"),
    "word.grade.platinum": ("platinum", "プラチナ"),
    "device.reversion.timer": ("timer", "タイマー"),
    "device.reversion.watchdog": ("after {seconds} s", "{seconds} 秒後"),
    "device.reversion.heartbeat": ("heartbeat, {seconds} s", "ハートビート、{seconds} 秒"),
    "device.reversion.none": ("never", "しない"),
    "device.grades": (
        "bronze: a map only; silver: passes the contract on its simulator; gold: recorded from a device; "
        "platinum: commissioned in the field.",
        "ブロンズ: マップのみ。シルバー: シミュレーターで契約試験に合格。ゴールド: 実機の記録あり。"
        "プラチナ: 現地で試運転済み。",
    ),
    "device.passed": ("passed", "合格"),
    "device.failed": ("failed", "不合格"),
    "device.check.ok": (
        "{file}: valid, and the contract passes on its simulated device: {count} checks. About the real product that "
        "says nothing.",
        "{file}: 正しい。模擬機器での契約試験 {count} 件にすべて合格。実機については何も証明しない。",
    ),
    "device.check.breach": (
        "{file}: {failed} of {count} checks failed on the simulated device.",
        "{file}: 模擬機器での契約試験 {count} 件のうち {failed} 件が不合格。",
    ),
}
