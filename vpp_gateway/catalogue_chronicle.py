"""Texts of `events why`: one sentence per reason, and the words of its table. Key -> (English, Japanese)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CHRONICLE: Final[Mapping[str, tuple[str, str]]] = {
    # --- the answer ----------------------------------------------------------------------------------------------
    "why.answer.in": (
        "Opted in: at least {percent} of every phase can be held to its end.",
        "応諾: すべての区間で指令の {percent} 以上を最後まで維持できる。",
    ),
    "why.answer.in_again": (
        "Modification {modification} opted in: at least {percent} of every phase can be held to its end.",
        "変更番号 {modification} を応諾: すべての区間で指令の {percent} 以上を最後まで維持できる。",
    ),
    "why.answer.out": (
        "Opted out: at least {percent} of every phase must be held to its end.",
        "拒否: すべての区間で指令の {percent} 以上を最後まで維持できることが条件。",
    ),
    "why.answer.out_again": (
        "Modification {modification} opted out: at least {percent} of every phase must be held to its end.",
        "変更番号 {modification} を拒否: すべての区間で指令の {percent} 以上を最後まで維持できることが条件。",
    ),
    "why.withdrawn.cancelled": ("The utility cancelled it.", "上位が取り消した。"),
    "why.withdrawn.implied": (
        "It stands no more in the utility's list: cancelled.",
        "上位の一覧からなくなったため、取り消しとみなした。",
    ),
    "why.withdrawn.unregistered": (
        "The registration with the utility ended, and its events with it.",
        "上位との登録が終わり、そのイベントも終わった。",
    ),
    "why.withdrawn.opted-out": ("The operator opted out of it.", "運用者が拒否した。"),
    "why.withdrawn.silence": (
        "The utility was silent for longer than its program allows.",
        "上位の無応答が、プログラムの許す時間を超えた。",
    ),
    # --- phases --------------------------------------------------------------------------------------------------
    "why.phase.down": (
        "From here on {kw} kW down are asked of {sites}.",
        "ここから {sites} に下げDR {kw} kW を求められている。",
    ),
    "why.phase.up": (
        "From here on {kw} kW up are asked of {sites}.",
        "ここから {sites} に上げDR {kw} kW を求められている。",
    ),
    "why.phase.limit_import": (
        "From here on each of {sites} may import {kw} kW at most.",
        "ここから {sites} の受電電力は、それぞれ {kw} kW まで。",
    ),
    "why.phase.limit_export": (
        "From here on each of {sites} may export {kw} kW at most.",
        "ここから {sites} の逆潮流は、それぞれ {kw} kW まで。",
    ),
    "why.phase.over": (
        "Nothing is asked any more; what was ordered is taken back.",
        "要求は終わり、命令したものを戻す。",
    ),
    # --- why this site -------------------------------------------------------------------------------------------
    "why.site.share": (
        "{site} is ordered {kw} of {total_kw} kW: its batteries hold {percent} of the energy that can be spared ({kwh} kWh).",
        "{site} に {total_kw} kW のうち {kw} kW を命令: 余力エネルギーの {percent}({kwh} kWh)を持つ。",
    ),
    "why.site.full": (
        "{site} is ordered {kw} of {total_kw} kW: all that its batteries have.",
        "{site} に {total_kw} kW のうち {kw} kW を命令: 蓄電池の余力の全量。",
    ),
    "why.site.export": (
        "{site} is ordered {kw} of {total_kw} kW and no more: its export limit binds, so other sites give the rest.",
        "{site} への命令は {total_kw} kW のうち {kw} kW まで: 逆潮流上限に達したため、残りは他の拠点が出す。",
    ),
    "why.site.import": (
        "{site} is ordered {kw} of {total_kw} kW and no more: its contracted import binds, so other sites give the rest.",
        "{site} への命令は {total_kw} kW のうち {kw} kW まで: 契約電力に達したため、残りは他の拠点が出す。",
    ),
    "why.site.wear": (
        "{site} is ordered {kw} of {total_kw} kW: batteries that wear less come first; those that wear alike share by energy.",
        "{site} に {total_kw} kW のうち {kw} kW を命令: 劣化の少ない蓄電池を先に使い、劣化が同じものは余力エネルギーで分担する。",
    ),
    "why.site.idle": ("{site} is not needed.", "{site} は不要。"),
    "why.site.none": (
        "{site} gives nothing: none of its batteries has room.",
        "{site} は出せない: 余力のある蓄電池がない。",
    ),
    # --- what was rejected ---------------------------------------------------------------------------------------
    "why.lever.wrong_way": (
        "{offer} ({kw} kW, cost {cost}) is left: at {sites} it would work against the order.",
        "{offer}({kw} kW、費用 {cost})は使わない: {sites} では指令と逆向きに働く。",
    ),
    "why.lever.export": (
        "{offer} ({kw} kW, cost {cost}) is left: its next step of {step_kw} kW does not fit under the export limit at {site} "
        "({room_kw} kW open).",
        "{offer}({kw} kW、費用 {cost})は使わない: 次の段階 {step_kw} kW が {site} の逆潮流上限に収まらない(残り {room_kw} kW)。",
    ),
    "why.lever.import": (
        "{offer} ({kw} kW, cost {cost}) is left: its next step of {step_kw} kW does not fit into the contracted import at "
        "{site} ({room_kw} kW open).",
        "{offer}({kw} kW、費用 {cost})は使わない: 次の段階 {step_kw} kW が {site} の契約電力に収まらない(残り {room_kw} kW)。",
    ),
    "why.lever.coupling": (
        "{offer} ({kw} kW, cost {cost}) is left: {name} carries no further step of it.",
        "{offer}({kw} kW、費用 {cost})は使わない: {name} の上限により次の段階を使えない。",
    ),
    "why.lever.enough": (
        "No more than {share} of {offer} is called ({kw} kW are left at cost {cost}): that is enough.",
        "{offer} は {share} まで呼び出す(残り {kw} kW、費用 {cost}): それで足りる。",
    ),
    "why.lever.back": (
        "{offer} ({kw} kW, cost {cost}) is held no longer: the rest suffices without it.",
        "{offer}({kw} kW、費用 {cost})の維持を終える: 残りの手段で足りる。",
    ),
    "why.lever.unproven": (
        "{offer} ({kw} kW, cost {cost}) is left: it failed or was late last time, and what works is not given back for it.",
        "{offer}({kw} kW、費用 {cost})は使わない: 前回失敗または遅延したため、有効に働いている手段をこれに置き換えない。",
    ),
    "why.lever.batteries": (
        "{offer} ({kw} kW, cost {cost}) is left: the batteries come first and keep enough for bridging.",
        "{offer}({kw} kW、費用 {cost})は使わない: 蓄電池が先で、つなぎの余力も足りる。",
    ),
    "why.lever.standing": (
        "{offer} ({kw} kW, cost {cost}) is left: the work that is shifted already and the batteries suffice.",
        "{offer}({kw} kW、費用 {cost})は使わない: 実施中のシフトと蓄電池で足りる。",
    ),
    "why.lever.short": (
        "{offer} ({kw} kW, cost {cost}) is left: it can be held for {seconds} of the {left} s that are asked; {other} (cost "
        "{other_cost}) lasts longer and suffices.",
        "{offer}({kw} kW、費用 {cost})は使わない: 要求は {left} 秒続くが {seconds} 秒しか維持できない。より長く続く {other}"
        "(費用 {other_cost})で足りる。",
    ),
    "why.lever.service": (
        "{offer} ({kw} kW, cost {cost}) is left: it disturbs a higher service level than {other} (cost {other_cost}), which suffices.",
        "{offer}({kw} kW、費用 {cost})は使わない: より低いサービス水準の {other}(費用 {other_cost})で足りる。",
    ),
    "why.lever.dearer": (
        "{offer} ({kw} kW, cost {cost}) is left: {other} is cheaper (cost {other_cost}) and suffices.",
        "{offer}({kw} kW、費用 {cost})は使わない: より安い {other}(費用 {other_cost})で足りる。",
    ),
    "why.lever.downtime": (
        "{offer} ({kw} kW, cost {cost}) is left: it stops work for longer ({seconds} s) than {other} (cost {other_cost}), which "
        "suffices.",
        "{offer}({kw} kW、費用 {cost})は使わない: 停止時間({seconds} 秒)がより短い {other}(費用 {other_cost})で足りる。",
    ),
    "why.lever.equal": (
        "{offer} ({kw} kW, cost {cost}) is left: {other} costs the same ({other_cost}) and suffices.",
        "{offer}({kw} kW、費用 {cost})は使わない: 同じ費用({other_cost})の {other} で足りる。",
    ),
    "why.lever.optimum": (
        "{offer} ({kw} kW, cost {cost}) is left although it costs no more than {other} (cost {other_cost}): in whole steps, over "
        "all sites, the plan does without it.",
        "{offer}({kw} kW、費用 {cost})は {other}(費用 {other_cost})より高くはないが使わない: 全拠点を段階単位で見た計画では不要。",
    ),
    "why.offer.doubted": (
        "{offer} ({kw} kW, cost {cost}) is left: it or its plug-in failed an order or was late with one, and is not called for another {seconds} s.",
        "{offer}({kw} kW、費用 {cost})は使わない: これまたはプラグインが命令に失敗したか遅れたため、あと {seconds} 秒は呼び出さない。",
    ),
    "why.offer.expired": (
        "{offer} ({kw} kW, cost {cost}) is left: it has run out.",
        "{offer}({kw} kW、費用 {cost})は使わない: 有効期限が切れた。",
    ),
    "why.offer.slow": (
        "{offer} ({kw} kW, cost {cost}) is left: it needs {seconds} s to become real, and nothing is asked for so long any more.",
        "{offer}({kw} kW、費用 {cost})は使わない: 効くまでに {seconds} 秒かかり、要求はそこまで続かない。",
    ),
    "why.call.kept": (
        "{offer} is kept at {share} of its size (cost {cost}, half of its own while it stands): without it the batteries would have too little left for bridging.",
        "{offer} を規模の {share} で続ける(費用 {cost}、実施中のため半額で比較): やめると、つなぎの余力が足りない。",
    ),
    # --- orders and the hand-over --------------------------------------------------------------------------------
    "why.order.ordered": (
        "{offer} is ordered: {kw} kW at cost {cost}; the batteries bridge until the meter shows it.",
        "{offer} に命令: {kw} kW(費用 {cost})。メーターに現れるまで蓄電池がつなぐ。",
    ),
    "why.order.prepared": (
        "{offer} is prepared: {kw} kW at cost {cost} wait for the start.",
        "{offer} は準備済み: {kw} kW(費用 {cost})が開始を待つ。",
    ),
    "why.order.active": (
        "{offer} gives its {kw} kW by the plug-in's own word; what counts is the meter.",
        "{offer} は {kw} kW を実施中(プラグインの申告)。判定はメーターで行う。",
    ),
    "why.order.returned": (
        "{offer} is back ({kw} kW): its work runs as before.",
        "{offer} は復帰済み({kw} kW): ワークロードは元どおり。",
    ),
    "why.order.failed": (
        "{offer} failed ({why}): its {kw} kW at cost {cost} are given by the batteries, and the next plan looks for something "
        "else.",
        "{offer} に失敗({why}): {kw} kW(費用 {cost})は蓄電池が補い、次の計画で他の手段を探す。",
    ),
    "why.order.late": (
        "{offer} is late: its {kw} kW (cost {cost}) are not active {seconds} s after the order. It is told to return and not "
        "called for a while; the batteries give them, and the next plan looks for something else.",
        "{offer} が遅れている: {kw} kW(費用 {cost})が命令から {seconds} 秒たっても有効にならない。復帰を命令し、しばらく呼び出さない。"
        "蓄電池が補い、次の計画で他の手段を探す。",
    ),
    "why.order.back": (
        "{offer} is told to return ({kw} kW, cost {cost}): the plan does without it.",
        "{offer} に復帰を命令({kw} kW、費用 {cost}): 計画上は不要になった。",
    ),
    "why.order.back_at_end": (
        "{offer} is told to return ({kw} kW, cost {cost}): nothing is asked any more.",
        "{offer} に復帰を命令({kw} kW、費用 {cost}): 要求が終わった。",
    ),
    "why.hand_over": (
        "Hand-over of {kw} kW done {seconds} s after the order: the meters show {total_kw} kW more of work, the batteries are down to {other_kw} kW.",
        "引き継ぎ完了: 命令の {seconds} 秒後に {kw} kW。メーターに新たに {total_kw} kW が現れ、蓄電池は {other_kw} kW に下がった。",
    ),
    "why.share.wear": (
        "{device} at {site} is spared: {kw} of the {room_kw} kW it could give. It wears more (wear cost {wear}) than {other} "
        "({other_wear}), which comes first.",
        "{site} の {device} は温存: 余力 {room_kw} kW のうち {kw} kW を命令。劣化コスト {wear} が {other}({other_wear})より高く、"
        "劣化の少ない蓄電池を先に使う。",
    ),
    "why.share.unusable": (
        "{device} at {site} gives nothing: it cannot be used ({why}).",
        "{site} の {device} は使えない({why})。",
    ),
    # --- limits and batteries ------------------------------------------------------------------------------------
    "why.limit.export": (
        "The export limit at {site} binds: its batteries could give more, other sites give it.",
        "{site} の逆潮流上限に達した: 蓄電池の余力は残るが、他の拠点が出す。",
    ),
    "why.limit.export_free": (
        "The export limit at {site} binds no longer.",
        "{site} の逆潮流上限に余地ができた。",
    ),
    "why.limit.import": (
        "The contracted import at {site} binds: its batteries could take more, other sites take it.",
        "{site} の契約電力に達した: 蓄電池の余力は残るが、他の拠点が受ける。",
    ),
    "why.limit.import_free": (
        "The contracted import at {site} binds no longer.",
        "{site} の契約電力に余地ができた。",
    ),
    "why.battery.full": (
        "{device} at {site} is ordered all it has, {kw} kW (state of charge {percent}); what more is asked goes to the others.",
        "{site} の {device} に余力の全量 {kw} kW を命令(充電率 {percent})。それ以上は他が受け持つ。",
    ),
    "why.battery.bridging": (
        "{device} at {site} is ordered {kw} of {room_kw} kW, also from the part kept for bridging (state of charge {percent}).",
        "{site} の {device} に {room_kw} kW のうち {kw} kW を命令: つなぎ用の分も使う(充電率 {percent})。",
    ),
    "why.battery.eased": (
        "{device} at {site} is back to its share: {kw} of {room_kw} kW (state of charge {percent}).",
        "{site} の {device} は分担に戻った: {room_kw} kW のうち {kw} kW(充電率 {percent})。",
    ),
    "why.battery.empty": (
        "{device} at {site} has no room left: at its lowest state of charge ({percent}).",
        "{site} の {device} は余力なし: 充電率の下限({percent})。",
    ),
    "why.battery.charged": (
        "{device} at {site} has no room left: at its highest state of charge ({percent}).",
        "{site} の {device} は余力なし: 充電率の上限({percent})。",
    ),
    # --- failures ------------------------------------------------------------------------------------------------
    "why.battery.gone": (
        "{device} at {site} cannot be used ({why}); it was ordered {kw} kW.",
        "{site} の {device} は使えない({why})。それまで {kw} kW を命令していた。",
    ),
    "why.battery.back": (
        "{device} at {site} can be used again.",
        "{site} の {device} は再び使える。",
    ),
    "why.battery.taken_over": (
        "{devices}: {kw} kW more are ordered in its place.",
        "代わりに {devices} に {kw} kW 多く命令する。",
    ),
    "why.site.gone": (
        "{name} is out of reach ({why}): its batteries hold what they were ordered until their own timers end it.",
        "{name} と通信できない({why}): 蓄電池は復帰タイマーが切れるまで、命令どおりに続ける。",
    ),
    "why.site.alone": (
        "{name} is silent ({why}): its agent is taken to carry on alone and to keep what was ordered last.",
        "{name} から応答がない({why}): 拠点エージェントが単独で、最後の命令を続けているとみなす。",
    ),
    "why.site.back": ("{name} can be reached again.", "{name} と再び通信できる。"),
    "why.meter.lost": (
        "The meter at {site} cannot be read or believed: its load is taken for what it probably is.",
        "{site} の電力量計を読めない、または信頼できない: 負荷は推定値で扱う。",
    ),
    "why.meter.check": (
        "The meter at {site} cannot be read or believed: its check meter counts instead.",
        "{site} の電力量計を読めない、または信頼できない: 副計器の値を使う。",
    ),
    "why.meter.back": ("The meter at {name} counts again.", "{name} の電力量計は再び使える。"),
    "why.plugin.gone": (
        "Plug-in {name} offers nothing or is not called: {why}.",
        "プラグイン {name} はオファーがない、または呼び出さない: {why}。",
    ),
    "why.plugin.back": ("Plug-in {name} counts again.", "プラグイン {name} は再び使える。"),
    # --- what is missing -----------------------------------------------------------------------------------------
    "why.short.begun": (
        "A shortfall begins: {kw} of {total_kw} kW cannot be had.",
        "不足が始まった: {total_kw} kW のうち {kw} kW を用意できない。",
    ),
    "why.short.over": (
        "The shortfall is over; {kw} kW were missing at most.",
        "不足は解消した。最大の不足量は {kw} kW。",
    ),
    "why.band.off": (
        "More than 10 % off the order at the meters: {kw} instead of {total_kw} kW, though the resources suffice; they are "
        "being moved.",
        "メーターで指令から 10 % を超えて外れた: {total_kw} kW に対し {kw} kW。余力は足りており、修正中。",
    ),
    "why.band.back": (
        "Within 10 % of the order again: {kw} of {total_kw} kW.",
        "再び指令の ±10 % 以内: {total_kw} kW に対し {kw} kW。",
    ),
    # --- over ----------------------------------------------------------------------------------------------------
    # --- the command ---------------------------------------------------------------------------------------------
    "events.why.head": (
        "{id} (modification {modification}): why, second by second",
        "{id}(変更番号 {modification}): 秒ごとの理由",
    ),
    "events.why.read": (
        "{facts} facts of {path} were folded again: {compared} decisions of the run came out the same",
        "{path} の事実 {facts} 件をリプレイ: 実行時の判断 {compared} 件と一致",
    ),
    "events.why.differs": (
        "the replay decides otherwise than the run did from {at} on (record {seq}); what is told after it may not be what "
        "happened: is the configuration the one of the run?",
        "リプレイの判断が {at}(記録 {seq})から実行時と異なるため、以後の説明は実際と違う可能性があります。設定は実行時と同じですか?",
    ),
    "events.why.gap": (
        "the readings from {since} to {until} were archived or lost: nothing can be told of these seconds",
        "{since}〜{until} の計測値は保管済みまたは欠落のため、この間の説明はできません",
    ),
    "events.why.gone": (
        "no reading of its time is in the journal any more; what its record says:",
        "その時間の計測値はもうジャーナルにありません。記録に残る内容:",
    ),
    "events.why.problem": ("the journal is not whole: {why}", "ジャーナルに欠損があります: {why}"),
    "events.why.running": ("it is not over yet", "まだ終わっていません"),
    "events.why.nothing": ("nothing has happened yet", "まだ何も起きていません"),
    "events.why.bad_time": (
        "--at '{found}' is no time; allowed: 2026-01-31T09:00:00+09:00, 09:00:00 (JST, on the day of its start) or +90 (seconds "
        "after its start)",
        "--at '{found}' は時刻ではありません。指定できる形: 2026-01-31T09:00:00+09:00、09:00:00(JST、開始日)、+90(開始からの秒数)",
    ),
    "events.why.no_second": (
        "the journal has no reading of {at} with this event; there are readings from {since} to {until}",
        "{at} の計測値がジャーナルにありません。あるのは {since}〜{until}",
    ),
    "events.why.no_readings": (
        "the journal has no reading with this event",
        "このイベントの計測値はジャーナルにありません",
    ),
    "events.why.at": ("{id} at {at}", "{id}、{at}"),
    "events.why.column.time": ("time", "時刻"),
    "events.why.column.since": ("after start", "開始後"),
    "events.why.column.kind": ("what", "内容"),
    "events.why.column.why": ("why", "理由"),
    "events.why.row.target": ("target", "目標"),
    "events.why.row.delivered": ("delivered", "実績"),
    "events.why.row.tiers": ("by tier", "段別"),
    "events.why.row.short": ("cannot be had", "用意できない量"),
    "events.why.row.sites": ("sites", "拠点"),
    "events.why.row.binding": ("binds", "制約"),
    "events.why.row.batteries": ("batteries", "蓄電池"),
    "events.why.row.orders": ("orders", "命令"),
    "events.why.row.called": ("called", "呼び出し"),
    "events.why.row.rejected": ("left", "不使用"),
    "events.why.row.plugins": ("plug-ins", "プラグイン"),
    "events.why.idle": ("it asks nothing in this second", "この秒には何も求めていない"),
    "events.why.site": (
        "{site}: {kw} kW delivered at the meter, import {import_kw} kW, baseline {baseline_kw} kW",
        "{site}: メーターでの実績 {kw} kW、受電電力 {import_kw} kW、ベースライン {baseline_kw} kW",
    ),
    "events.why.order": (
        "{offer}: {state}, {kw} kW, cost {cost}",
        "{offer}: {state}、{kw} kW、費用 {cost}",
    ),
    "word.change.answer": ("answer", "応諾・拒否"),
    "word.change.phase": ("phase", "区間"),
    "word.change.shares": ("shares", "分担"),
    "word.change.plan": ("plan", "計画"),
    "word.change.order": ("order", "命令"),
    "word.change.hand_over": ("hand-over", "引き継ぎ"),
    "word.change.limit": ("limit", "上限"),
    "word.change.battery": ("battery", "蓄電池"),
    "word.change.failure": ("failure", "故障"),
    "word.change.shortfall": ("shortfall", "不足量"),
    "word.change.over": ("over", "終了"),
}
