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
    "device.scan.none": (
        "Nothing answers at {count} addresses.",
        "{count} 個のアドレスのどこからも応答がない。",
    ),
    "device.scan.sunspec": ("{at}: SunSpec, {who}; models {models}", "{at}: SunSpec、{who}、モデル {models}"),
    "device.scan.plain": ("{at}: answers Modbus, tells no map", "{at}: Modbus に応答するがマップを示さない"),
    "device.scan.fits": ("  fits profile {profile} ({kind})", "  プロファイル {profile}({kind})に適合"),
    "device.scan.unknown": (
        "  fits no profile that is known; see docs/devices.md for writing one",
        "  既知のプロファイルに適合しない。作り方は docs/devices.md を参照",
    ),
    "device.no_value": ("no value", "値なし"),
    "device.role.discharge_w": ("discharge, W", "放電電力(W)"),
    "device.role.running": ("running (1 = yes)", "運転中(1 = はい)"),
    "device.role.alarm": ("alarm (1 = yes)", "警報(1 = はい)"),
    "device.role.soc": ("state of charge, %", "充電率(%)"),
    "device.role.energy_wh": ("energy, Wh", "蓄電容量(Wh)"),
    "device.role.discharge_max_w": ("greatest discharge, W", "最大放電電力(W)"),
    "device.role.charge_max_w": ("greatest charge, W", "最大充電電力(W)"),
    "device.role.soc_min": ("lowest state of charge, %", "充電率下限(%)"),
    "device.role.soc_max": ("highest state of charge, %", "充電率上限(%)"),
    "device.role.control_modes": ("control modes (bits)", "制御モード(ビット)"),
    "device.role.local_remote": ("local control (1 = yes)", "ローカル制御(1 = はい)"),
    "device.role.frequency_hz": ("frequency, Hz", "周波数(Hz)"),
    "device.role.import_w": ("import, W", "受電電力(W)"),
    "device.role.import_wh": ("imported energy, Wh", "受電電力量(Wh)"),
    "device.role.export_wh": ("exported energy, Wh", "逆潮流電力量(Wh)"),
    "device.decode.refused": ("{at}: {why}", "{at}: {why}"),
    "device.decode.text": ("as text", "文字として"),
    "device.decode.address": ("address", "アドレス"),
    "device.decode.type": ("type", "型"),
    "device.decode.words": ("words", "ワード順"),
    "device.decode.bytes": ("bytes", "バイト順"),
    "device.decode.value": ("value", "値"),
    "device.decode.scale": ("scale", "倍率"),
    "device.decode.fits": ("fits", "一致"),
    "device.sim.serving": (
        "{profile}, modelled, at {host}:{port}, unit {unit}. Faults: one a line on standard input, for instance "
        "'ignore', 'delay 200', 'heal'. End with Ctrl-C.",
        "{profile}(模擬)を {host}:{port}、ユニット {unit} で提供中。故障は標準入力に 1 行ずつ指定(例: 'ignore'、"
        "'delay 200'、'heal')。Ctrl-C で終了。",
    ),
    "device.sim.fault": ("fault on: {fault}", "故障を設定: {fault}"),
    "device.sim.healed": ("healed", "故障を解除"),
    "device.sim.wrong": ("{why}", "{why}"),
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
