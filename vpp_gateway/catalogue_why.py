"""Texts of `catalogue` beside `catalogue_texts`: reasons, alarms, words for codes. Key -> (English, Japanese)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

WHY: Final[Mapping[str, tuple[str, str]]] = {
    # --- shares of batteries -------------------------------------------------------------------------------------
    "why.share.proportional": (
        "{device} at {site} is ordered {kw} kW: its part in proportion to the energy it can spare (room {room_kw} kW).",
        "{site} の {device} に {kw} kW を命令: 余力エネルギーに比例した分担(余力 {room_kw} kW)。",
    ),
    "why.share.full": (
        "{device} at {site} is ordered all it has: {kw} kW.",
        "{site} の {device} に余力の全量 {kw} kW を命令。",
    ),
    "why.share.bridging": (
        "{device} at {site} is ordered {kw} kW, also from the part kept for bridging (room {room_kw} kW).",
        "{site} の {device} に {kw} kW を命令: つなぎ用に残した分も使う(余力 {room_kw} kW)。",
    ),
    "why.share.feeder": (
        "{device} at {site} is ordered {kw} kW of the {room_kw} kW it could give: the limit of feeder {feeder} binds.",
        "{site} の {device} に余力 {room_kw} kW のうち {kw} kW を命令: フィーダー {feeder} の上限に達している。",
    ),
    "why.share.own_sun": (
        "{device} at {site} is ordered to charge {kw} kW: the sun on its own site comes first (room {room_kw} kW).",
        "{site} の {device} に {kw} kW の充電を命令: 自拠点の太陽光を優先して使う(余力 {room_kw} kW)。",
    ),
    "why.share.not_needed": (
        "{device} at {site} is not needed now (room {room_kw} kW).",
        "{site} の {device} は今は不要(余力 {room_kw} kW)。",
    ),
    "why.share.no_room": (
        "{device} at {site} has no room: empty, full, or not to be relied on.",
        "{site} の {device} は余力なし: 残量なし、満充電、または計測値を信頼できない。",
    ),
    # --- calls of workload offers --------------------------------------------------------------------------------
    "why.call.needed": (
        "{offer} is called at {share} of its size: the batteries alone would leave too little for bridging (cost {cost}).",
        "{offer} を規模の {share} で呼び出す: 蓄電池だけではつなぎの余力が足りない(費用 {cost})。",
    ),
    "why.call.short_lived": (
        "{offer} is called at {share} of its size although it must be given back {minutes} min before the end: nothing "
        "that lasts longer was left (cost {cost}).",
        "{offer} を規模の {share} で呼び出す: 終了の {minutes} 分前に戻さなければならないが、より長く続く手段が残っていなかった"
        "(費用 {cost})。",
    ),
    "why.call.own_sun": (
        "{offer} is called at {share} of its size, before others as cheap (cost {cost}): chosen for its own sun, which "
        "{sun_pct} % of it can use.",
        "{offer} を規模の {share} で呼び出す: 同じ費用({cost})のうち、自拠点の太陽光を使えるため優先({sun_pct} %)。",
    ),
    "why.call.held": (
        "{offer} is held at {share} of its size (cost {cost}, half of its own while it stands).",
        "{offer} を規模の {share} で維持する(費用 {cost}、実施中のため半額で比較)。",
    ),
    "why.call.not_needed": (
        "{offer} is not called: cheaper resources suffice (cost {cost}).",
        "{offer} は呼び出さない: より安い手段で足りる(費用 {cost})。",
    ),
    # --- what bound ----------------------------------------------------------------------------------------------
    "why.bind.missing": ("{kw} kW are missing.", "{kw} kW が不足している。"),
    "why.bind.over": (
        "{kw} kW more than was asked are given; they cannot be taken back now.",
        "指令より {kw} kW 多く出ている。いまは戻せない。",
    ),
    "why.bind.export": (
        "The export limit at {site} binds.",
        "{site} の逆潮流上限に達している。",
    ),
    "why.bind.import": (
        "The contracted import at {site} binds.",
        "{site} の契約電力に達している。",
    ),
    "why.bind.feeder": (
        "The limit of feeder {feeder} at {site} binds.",
        "{site} のフィーダー {feeder} の上限に達している。",
    ),
    "why.bind.link": (
        "The link from {source} to {destination} carries no more work.",
        "{source} から {destination} への拠点間回線の上限に達しており、これ以上ワークロードを移せない。",
    ),
    "why.bind.rooms": (
        "All {count} batteries of its sites give all they have.",
        "対象拠点の蓄電池 {count} 台すべてが全量を出している。",
    ),
    "why.bind.site_rooms": (
        "The batteries at {site} give all they have.",
        "{site} の蓄電池はすべて全量を出している。",
    ),
    "why.bind.coupling": (
        "The limit of {name} binds.",
        "{name} の上限に達している。",
    ),
    "why.bind.offer": (
        "{offer} is called as far as it can be.",
        "{offer} は最大まで呼び出している。",
    ),
    "why.bind.held": (
        "{offer} is committed and cannot be taken back yet.",
        "{offer} は実行中でまだ取り消せない。",
    ),
    "why.bind.no_number_battery": (
        "The room of {name} is not a usable number; it counts as none.",
        "{name} の余力の値が不正なため、余力なしとして扱う。",
    ),
    "why.bind.no_number_site": (
        "A limit of {name} is not a usable number; it counts as none left.",
        "{name} の上限値が不正なため、空きなしとして扱う。",
    ),
    "why.bind.no_number_feeder": (
        "A limit of feeder {name} is not a usable number; it counts as none left.",
        "フィーダー {name} の上限値が不正なため、空きなしとして扱う。",
    ),
    "why.bind.no_number_target": (
        "The target of {name} is not a number; nothing is done for it.",
        "{name} の目標値が数値でないため、何も行わない。",
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
    "why.meter.stuck": (
        "The meter at {site} stands still while the batteries move: what is delivered there is not proven.",
        "{site} の電力量計の値が、蓄電池が動いても変わらない。そこでの実績は証明できない。",
    ),
    "why.meter.reversed": (
        "The meter at {site} moves with the batteries and not against them (wrong sign?): what is delivered there is not "
        "proven.",
        "{site} の電力量計が蓄電池と逆向きに動く(符号の誤りか)。そこでの実績は証明できない。",
    ),
    "why.timeline.lost": (
        "{place} is ruled by {event}, which goes before it.",
        "{place} は、先に従うべき {event} に従っている。",
    ),
    "why.meter.apart": (
        "The meter and the check meter at {site} differ and nothing tells which is wrong; the meter is followed.",
        "{site} の電力量計と副計器の値が食い違い、どちらが誤りか判断できない。電力量計に従う。",
    ),
    "why.held.limit": (
        "{site} is held where {event} limits it; other sites of it, where there are any, make up the difference.",
        "{site} は {event} の上限で保持される。差分は、ほかに対象拠点があればそこが補う。",
    ),
    "why.held.short": (
        "{site} was beyond this limit for a while: what its batteries can give, or its grid connection carry, was not enough.",
        "{site} がこの上限を超えた時間があった。蓄電池の余力または受電点の容量が足りなかった。",
    ),
    "why.held.late": (
        "{site} was beyond this limit for moments, until its batteries had made up for it.",
        "{site} は、蓄電池が追いつくまでの間、一時的にこの上限を超えた。",
    ),
    "why.meter.unseen": (
        "For a while no meter showed what {site} did; its part is assumed then, and not proven.",
        "{site} の計量値が得られない時間があった。その間の分は推定であり、実績として証明できない。",
    ),
    "why.meter.apart_unseen": (
        "The meter and the check meter at {site} show opposite signs and nothing tells yet which is wrong; neither is "
        "followed.",
        "{site} の電力量計と副計器の符号が逆で、どちらが誤りかまだ判断できない。どちらにも従わない。",
    ),
    "why.meter.stuck_checked": (
        "The meter at {site} stands still; its check meter is followed.",
        "{site} の電力量計の値が変わらない。副計器に従う。",
    ),
    "why.meter.reversed_checked": (
        "The meter at {site} says the opposite of its check meter (wrong sign?); its check meter is followed.",
        "{site} の電力量計が副計器と逆の値を示す(符号の誤りか)。副計器に従う。",
    ),
    "why.meter.apart_checked": (
        "The meter at {site} differs from its check meter and does not show what the batteries do; its check meter is "
        "followed.",
        "{site} の電力量計が副計器と食い違い、蓄電池の動きも示さない。副計器に従う。",
    ),
    "why.meter.silent_checked": (
        "The meter at {site} says nothing usable; its check meter is followed.",
        "{site} の電力量計から使える値が得られない。副計器に従う。",
    ),
    "why.meter.away_checked": (
        "The agent at {site} is not heard; what flows there is seen by its check meter.",
        "{site} の拠点エージェントと通信できない。受電電力は副計器で見ている。",
    ),
    "why.meter.check_stuck": (
        "The check meter at {site} stands still while the meter moves; the meter is followed.",
        "電力量計が動いても {site} の副計器の値が変わらない。電力量計に従う。",
    ),
    "why.meter.check_reversed": (
        "The check meter at {site} says the opposite of the meter (wrong sign?); the meter is followed.",
        "{site} の副計器が電力量計と逆の値を示す(符号の誤りか)。電力量計に従う。",
    ),
    "why.meter.pv_reversed": (
        "The PV meter at {site} says that the plant takes power (wrong sign?); its sun does not count.",
        "{site} の太陽光の電力量計が、発電ではなく消費を示す(符号の誤りか)。自拠点の太陽光は算入しない。",
    ),
    "why.shift.failed": (
        "Workload shift {offer} failed: {why}; the batteries fill in.",
        "ワークロードシフト {offer} に失敗: {why}。蓄電池が補う。",
    ),
    "why.shift.late": (
        "Workload shift {offer} is late: not active {seconds} s after the order (promised {promised} s). It is told to return and "
        "not called for a while; the batteries fill in.",
        "ワークロードシフト {offer} が遅れている: 命令から {seconds} 秒たっても有効にならない(公称 {promised} 秒)。復帰を命令し、"
        "しばらく呼び出さない。蓄電池が補う。",
    ),
    # --- why an instruction is refused -------------------------------------------------------------------------------
    "why.opt.no_site": (
        "none of its sites belongs to this portfolio",
        "対象範囲にこのゲートウェイの拠点がない",
    ),
    "why.opt.no_device": (
        "{devices}: not a device of this portfolio",
        "{devices} はこのゲートウェイの機器ではない",
    ),
    "why.opt.no_number": (
        "{field} is {found}, which cannot be meant; allowed: finite numbers, an end after its start, limits that do not cross.",
        "{field} の値 {found} は無効。有限の数値、開始より後の終了、交差しない上限を指定すること。",
    ),
    "why.opt.no_meter": (
        "{devices} stands behind no grid connection of its own: it can be asked for a change, not for an import",
        "{devices} には専用の受電点がない。変化量は指令できるが、受電電力の目標値は指令できない",
    ),
    "why.opt.operator": ("opted out by the operator", "運用者の判断による拒否"),
    "why.opt.over": ("its end has passed", "終了時刻を過ぎている"),
    "why.opt.unreachable": (
        "no site of its scope can be reached now ({sites})",
        "対象範囲のどの拠点とも今は通信できない({sites})",
    ),
    "why.opt.load_unknown": (
        "the load of {sites} is not known yet",
        "{sites} の負荷がまだ分からない",
    ),
    "why.opt.short_down": (
        "asked {kw} kW down for {seconds} s, only {room_kw} kW can be held so long",
        "下げDR {kw} kW を {seconds} 秒との指令に対し、その間維持できるのは {room_kw} kW",
    ),
    "why.opt.short_up": (
        "asked {kw} kW up for {seconds} s, only {room_kw} kW can be held so long",
        "上げDR {kw} kW を {seconds} 秒との指令に対し、その間維持できるのは {room_kw} kW",
    ),
    "why.opt.short_down_later": (
        "asked {kw} kW down for {seconds} s from {after} s after its start on, only {room_kw} kW can be held so long then",
        "開始 {after} 秒後から下げDR {kw} kW を {seconds} 秒との指令に対し、その間維持できるのは {room_kw} kW",
    ),
    "why.opt.short_up_later": (
        "asked {kw} kW up for {seconds} s from {after} s after its start on, only {room_kw} kW can be held so long then",
        "開始 {after} 秒後から上げDR {kw} kW を {seconds} 秒との指令に対し、その間維持できるのは {room_kw} kW",
    ),
    "why.opt.limits_cross": (
        "with the limit of {other} that stands, import at {place} would be limited to {import_kw} kW and export to "
        "{export_kw} kW: no flow keeps both",
        "有効な {other} の上限と合わせると、{place} の受電の上限は {import_kw} kW、逆潮流の上限は {export_kw} kW "
        "となり、両方は守れない",
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
        "拠点 {site}: 拠点エージェントと通信できない({why})。蓄電池は自身の復帰タイマーで既定制御に戻る。",
    ),
    "alarm.site_alone": (
        "Site {site}: its link fell silent ({why}). Its agent is taken to live and to keep its import by itself for up to "
        "{hold_s} s.",
        "拠点 {site}: リンクが途絶えた({why})。拠点エージェントは動いているとみなす。最長 {hold_s} 秒、自律して受電電力を保つ。",
    ),
    "alarm.check_followed": (
        "Site {site} is seen by its check meter {device} alone: {why}",
        "拠点 {site} は副計器 {device} だけで見ている: {why}",
    ),
    "alarm.check_meter": (
        "Check meter {device} at {site} is {health}: {why}. The site is seen by its meter alone.",
        "{site} の副計器 {device}: {health}({why})。この拠点は電力量計だけで見ている。",
    ),
    "alarm.pv_meter": (
        "PV meter {device} at {site} is {health}: {why}. The site counts as one without sun.",
        "{site} の太陽光の電力量計 {device}: {health}({why})。この拠点は太陽光がないものとして扱う。",
    ),
    "alarm.device": (
        "{device} at {site} is {health}: {why}.",
        "{site} の {device}: {health}({why})。",
    ),
    "alarm.room": (
        "{room} is {state}: {why}.",
        "{room}: {state}({why})。",
    ),
    "alarm.plugin": (
        "Workload plug-in {plugin} offers nothing: {why}.",
        "ワークロードのプラグイン {plugin} からオファーがない({why})。",
    ),
    "alarm.plugin_offers": (
        "Offers of a workload plug-in are refused, the others stand: {why}.",
        "ワークロードのプラグインのオファーを一部拒否した。ほかのオファーは有効({why})。",
    ),
    "alarm.plugin_doubted": (
        "Workload {plugin} is not called for now: {why}.",
        "ワークロード {plugin} は当面呼び出さない({why})。",
    ),
    "alarm.solver": (
        "The solver is {state}: {why}. The closed form holds meanwhile.",
        "ソルバー: {state}({why})。その間は閉形式解で配分する。",
    ),
    "alarm.planner": (
        "The planner is {state}: {why}. The last plan goes on until it ends; then the allocation decides alone.",
        "プランナー: {state}({why})。直近の計画は終わりまで有効。その後は配分だけで決める。",
    ),
    "alarm.shortfall": (
        "{event}: {kw} kW are missing.",
        "{event}: {kw} kW が不足している。",
    ),
    "alarm.certificate": (
        "The certificate of {room} ends in {days} days: order a new one (`identity csr`) and install it in time.",
        "{room} の証明書の有効期限まであと {days} 日。新しい証明書を申請し(`identity csr`)、期限前に入れ替えること。",
    ),
    "alarm.clock": (
        "The machine's clock was set by {by_s} s. Running events keep their times; it is followed when none is near.",
        "この機械の時計が {by_s} 秒変更された。実施中のイベントの時刻は変えず、近くにイベントがないときに合わせる。",
    ),
    "alarm.engine": (
        "Internal trouble ({source}): {why}.",
        "内部の異常({source}): {why}。",
    ),
    # --- words for the codes of the status -----------------------------------------------------------------------
    "word.health.good": ("good", "正常"),
    "word.health.stale": ("stale", "更新遅れ"),
    "word.health.implausible": ("implausible", "異常値"),
    "word.health.refusing": ("refusing", "拒否"),
    "word.health.lost": ("lost", "通信断"),
    "word.health.warning": ("warning", "注意"),
    "word.health.bad": ("bad", "使用不可"),
    "status.column.seen": ("seen by", "計測元"),
    "word.sight.meter": ("meter", "電力量計"),
    "word.sight.check": ("check meter", "副計器"),
    "word.sight.": ("not seen", "不明"),
    "word.severity.trip": ("trip", "緊急"),
    "word.severity.alarm": ("alarm", "警報"),
    "word.severity.warning": ("warning", "注意"),
    "word.severity.info": ("info", "情報"),
    "word.kind.site": ("site", "拠点"),
    "word.kind.plugin": ("plugin", "プラグイン"),
    "word.kind.solver": ("solver", "ソルバー"),
    "word.kind.planner": ("planner", "プランナー"),
    "word.kind.journal": ("journal", "ジャーナル"),
    "word.link.unregistered": ("unregistered", "未登録"),
    "word.link.registering": ("registering", "登録中"),
    "word.link.reporting": ("reporting", "報告登録中"),
    "word.link.registered": ("registered", "登録済み"),
    "word.link.leaving": ("leaving", "登録取消中"),
    "word.link.cancelled": ("cancelled", "登録取消"),
    "word.link.lost": ("lost", "通信断"),
    "word.link.linked": ("linked", "接続中"),
    "word.link.alone": ("alone", "自律継続"),
    "word.link.ready": ("ready", "待機中"),
    "word.link.gone": ("gone", "停止"),
    "word.link.starting": ("starting", "起動中"),
    "word.link.down": ("down", "停止"),
    "word.link.ok": ("ok", "正常"),
    "word.link.degraded": ("degraded", "縮退"),
    "word.link.ordered": ("ordered", "命令済み"),
    "word.link.prepared": ("prepared", "準備済み"),
    "word.link.ramping": ("ramping", "応動中"),
    "word.link.active": ("active", "実施中"),
    "word.link.returning": ("returning", "復帰中"),
    "word.link.returned": ("returned", "復帰済み"),
    "word.link.failed": ("failed", "失敗"),
    "word.state.pending": ("pending", "待機"),
    "word.state.active": ("active", "実施中"),
    "word.state.completed": ("completed", "完了"),
    "word.state.cancelled": ("cancelled", "取消"),
    "word.state.refused": ("refused", "拒否"),
    "word.opt.in": ("in", "応諾"),
    "word.opt.out": ("out", "拒否"),
    "word.direction.down": ("down", "下げDR"),
    "word.direction.up": ("up", "上げDR"),
    "word.tier.battery": ("battery", "蓄電池"),
    "word.tier.workload": ("workload", "ワークロードシフト"),
    "word.offer.cap": ("cap", "抑制"),
    "word.offer.pause": ("pause", "一時停止"),
    "word.offer.shed": ("shed", "遮断"),
    "word.offer.move": ("move", "移動"),
    "word.offer.absorb": ("absorb", "吸収"),
}
