"""Texts of `catalogue` beside `catalogue_texts`: reasons of an allocation, alarms. Key -> (English, Japanese)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

WHY: Final[Mapping[str, tuple[str, str]]] = {
    # --- shares of batteries -------------------------------------------------------------------------------------
    "why.share.proportional": (
        "{device} at {site} gives {kw} kW: its part in proportion to the energy it can spare (room {room_kw} kW).",
        "{site} の {device} は {kw} kW: 余力エネルギーに比例した分担(余力 {room_kw} kW)。",
    ),
    "why.share.full": (
        "{device} at {site} gives all it has: {kw} kW.",
        "{site} の {device} は余力の全量 {kw} kW を出す。",
    ),
    "why.share.bridging": (
        "{device} at {site} gives {kw} kW, also from the part kept for bridging (room {room_kw} kW).",
        "{site} の {device} は {kw} kW: つなぎ用に残した分も使う(余力 {room_kw} kW)。",
    ),
    "why.share.not_needed": (
        "{device} at {site} is not needed now (room {room_kw} kW).",
        "{site} の {device} は今は不要(余力 {room_kw} kW)。",
    ),
    "why.share.no_room": (
        "{device} at {site} has no room: empty, full, or not to be relied on.",
        "{site} の {device} は余力なし: 空、満充電、または信頼できない。",
    ),
    # --- calls of workload offers --------------------------------------------------------------------------------
    "why.call.needed": (
        "{offer} is called at {share} of its size: the batteries alone would leave too little for bridging (cost {cost}).",
        "{offer} を規模の {share} で呼び出す: 蓄電池だけではつなぎの余力が足りない(費用 {cost})。",
    ),
    "why.call.held": (
        "{offer} is held at {share} of its size (cost {cost}).",
        "{offer} を規模の {share} で維持する(費用 {cost})。",
    ),
    "why.call.not_needed": (
        "{offer} is not called: cheaper resources suffice (cost {cost}).",
        "{offer} は呼び出さない: より安い資源で足りる(費用 {cost})。",
    ),
    # --- what bound ----------------------------------------------------------------------------------------------
    "why.bind.missing": ("{kw} kW are missing.", "{kw} kW が不足している。"),
    "why.bind.export": (
        "The export limit at {site} binds.",
        "{site} の逆潮流上限に達している。",
    ),
    "why.bind.import": (
        "The contracted import at {site} binds.",
        "{site} の契約受電電力に達している。",
    ),
    "why.bind.rooms": (
        "All {count} batteries of its sites give all they have.",
        "対象拠点の蓄電池 {count} 台すべてが全量を出している。",
    ),
    "why.bind.no_resources": (
        "No battery can be used at {sites}.",
        "{sites} に使える蓄電池がない。",
    ),
    # --- what went wrong meanwhile -------------------------------------------------------------------------------
    "why.device.refused": (
        "{device} refused its setpoint: {why}.",
        "{device} が設定値を拒否した: {why}。",
    ),
    "why.device.lost": (
        "{device} did not answer: {why}.",
        "{device} が応答しなかった: {why}。",
    ),
    "why.shift.failed": (
        "Workload shift {offer} failed: {why}; the batteries fill in.",
        "ワークロード移動 {offer} に失敗: {why}。蓄電池が補う。",
    ),
    # --- what is wrong in a file (goes with catalogue_texts) -----------------------------------------------------
    "problem.unsigned": (
        "the program {program} takes signed messages only; set sign: true and give the block tls",
        "プログラム {program} は署名付きメッセージだけを受け付けます。sign: true とし、tls を書いてください",
    ),
    "problem.pin_without_signatures": (
        "pins the certificate that signs the VTN's messages, so it needs sign: true; without it nothing would be checked",
        "VTN のメッセージに署名する証明書を固定するものなので、sign: true が必要です。なければ何も検査されません",
    ),
    # --- alarms --------------------------------------------------------------------------------------------------
    "alarm.site_lost": (
        "Site {site}: no link to its agent ({why}). Its batteries fall back by their own timers.",
        "拠点 {site}: エージェントと通信できない({why})。蓄電池は自身のタイマーで復帰する。",
    ),
    "alarm.device": (
        "{device} at {site} is {health}: {why}.",
        "{site} の {device} は {health}: {why}。",
    ),
    "alarm.room": (
        "{room} is {state}: {why}.",
        "{room} は {state}: {why}。",
    ),
    "alarm.plugin": (
        "Workload plug-in {plugin} offers nothing: {why}.",
        "ワークロードのプラグイン {plugin} は提供なし: {why}。",
    ),
    "alarm.solver": (
        "The solver is {state}: {why}. The closed form holds meanwhile.",
        "ソルバーは {state}: {why}。その間は閉形式で配分する。",
    ),
    "alarm.shortfall": (
        "{event}: {kw} kW are missing.",
        "{event}: {kw} kW が不足している。",
    ),
    "alarm.certificate": (
        "The certificate of {room} ends in {days} days: order a new one (`identity csr`) and install it in time.",
        "{room} の証明書はあと {days} 日で失効する。新しい証明書を申請し(`identity csr`)、期限前に入れ替えること。",
    ),
    "alarm.clock": (
        "The machine's clock was set by {by_s} s. Running events keep their times; it is followed when none is near.",
        "機械の時計が {by_s} 秒ずらされた。実行中のイベントの時刻は変わらず、イベントがない時に追従する。",
    ),
    "alarm.engine": (
        "Internal trouble ({source}): {why}.",
        "内部の異常({source}): {why}。",
    ),
}
