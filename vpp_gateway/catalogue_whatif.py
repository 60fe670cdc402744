"""Texts of `simulate` and `replay`, and of `events why` where several orders are told in one. Key -> (English, Japanese)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

WHATIF: Final[Mapping[str, tuple[str, str]]] = {
    # --- a line of an event or a failure -------------------------------------------------------------------------
    "problem.whatif.short": (
        "'{found}' is too short; write for instance '{example}'",
        "'{found}' は語が足りません。例: '{example}'",
    ),
    "problem.whatif.missing": (
        "'{found}' ends too early: word {word} is missing; allowed: {allowed}",
        "'{found}' は途中で終わっています。{word} 語目がありません。指定できるもの: {allowed}",
    ),
    "problem.whatif.word": (
        "word {word}, '{found}', is not known here; allowed: {allowed}",
        "{word} 語目の '{found}' はここでは使えません。指定できるもの: {allowed}",
    ),
    "problem.whatif.near": (
        "word {word}, '{found}', is not known here; allowed: {allowed}; did you mean '{near}'?",
        "{word} 語目の '{found}' はここでは使えません。指定できるもの: {allowed}。'{near}' ではありませんか?",
    ),
    "problem.whatif.power": (
        "word {word}, '{found}', is not a power; allowed: a number with its unit, {allowed}",
        "{word} 語目の '{found}' は電力ではありません。単位を付けた数値で指定してください: {allowed}",
    ),
    "problem.whatif.duration": (
        "word {word}, '{found}', is not a duration; allowed: a number with its unit, {allowed}",
        "{word} 語目の '{found}' は時間ではありません。単位を付けた数値で指定してください: {allowed}",
    ),
    "problem.whatif.range": (
        "word {word}, '{found}', is out of range; allowed: {allowed}",
        "{word} 語目の '{found}' は範囲外です。指定できる範囲: {allowed}",
    ),
    "problem.whatif.twice": (
        "'{found}' stands twice in one line; it may stand once (word {word})",
        "'{found}' が一行に二度あります({word} 語目)。一度だけ指定してください",
    ),
    "problem.whatif.name_twice": (
        "two events are named '{found}'; give each a name of its own with name=",
        "'{found}' という名前のイベントが二つあります。name= で別の名前を付けてください",
    ),
    "problem.whatif.move_to": (
        "a move needs 'to', another site than its own, and nothing else has one",
        "move には自拠点と異なる 'to' が必要です。他の種類には指定できません",
    ),
    "problem.whatif.known_late": (
        "word {word}, '{found}', is no time at which the event could still be carried out: it is over at {end} s; allowed: before {end}s; after its start it counts as received late",
        "{word} 語目の '{found}' では、イベントは {end} 秒に終わっているため実行できません。指定できる範囲: {end}s より前(開始後は遅れて受信したものとして扱います)",
    ),
    "problem.whatif.never": (
        "would happen at {found} s, but the play is over at {end} s ({after} s after its last event at {last} s); allowed: before {end} s, or a longer after_s in the scenario",
        "{found} 秒に起きるはずですが、シミュレーションは {end} 秒で終わります(最後のイベントが {last} 秒、その後 {after} 秒)。指定できる範囲: {end} 秒より前。またはシナリオの after_s を長くしてください",
    ),
    "problem.whatif.curve_order": (
        "is {found} s after {before} s; allowed: seconds that rise from point to point, each once",
        "{before} 秒の後が {found} 秒です。秒数は点ごとに大きくなるよう、重複なく書いてください",
    ),
    "problem.whatif.two_loads": (
        "is given beside load_kw {found} (line {line}); allowed: one of the two",
        "load_kw {found}({line} 行目)と同時に指定されています。どちらか一方だけを書いてください",
    ),
    "problem.whatif.beyond_load": (
        "is {found} kW, but {site} takes at most {load} kW, and earlier work takes {other} kW of it away; allowed: at most {allowed} kW",
        "{found} kW ですが、{site} の負荷は最大 {load} kW で、先に書かれたワークロードが {other} kW を減らします。許される値: {allowed} kW 以下",
    ),
    # --- the commands --------------------------------------------------------------------------------------------
    "whatif.spec": ("--{option} '{said}': {what}", "--{option} '{said}': {what}"),
    "whatif.nothing": (
        "nothing is asked: give --event or a --scenario with events",
        "イベントがありません。--event、またはイベントを含む --scenario を指定してください",
    ),
    "whatif.exists": (
        "{path} holds a journal already; give a folder without one",
        "{path} には既にジャーナルがあります。別のフォルダーを指定してください",
    ),
    "whatif.no_folder": ("{path} cannot be written: {why}", "{path} に書けません: {why}"),
    "whatif.not_kept": (
        "the run cannot be kept in {path}, and what was written of it was taken away: {why}",
        "実行を {path} に保存できません。書きかけのファイルは削除しました: {why}",
    ),
    "whatif.no_matplotlib": (
        "--png needs matplotlib, which is not installed: pip install 'vpp-gateway[simulate]'",
        "--png には matplotlib が必要です(未インストール): pip install 'vpp-gateway[simulate]'",
    ),
    "whatif.no_png": ("the picture cannot be written to {path}: {why}", "図を {path} に書けません: {why}"),
    "whatif.no_font": (
        "no Japanese font is installed, so the picture speaks English",
        "日本語フォントがないため、図は英語で描きます",
    ),
    "whatif.playing": ("playing", "シミュレーション中"),
    # --- the table -----------------------------------------------------------------------------------------------
    "whatif.head": (
        "{name}: {seconds} s simulated on the real gateway, seed {seed}; every power is modelled",
        "{name}: 実物のゲートウェイで {seconds} 秒をシミュレーション(シード {seed})。電力はすべて推定値",
    ),
    "whatif.assumed": ("assumed: {what}", "仮定: {what}"),
    "whatif.assumed.load": (
        "a site's load is 60 % of its contracted import where nothing else is said",
        "指定のない拠点の負荷は契約電力の 60 %",
    ),
    "whatif.assumed.noise": (
        "a load's noise has a standard deviation of 0.5 % of it where nothing else is said",
        "指定のない負荷の変動は標準偏差 0.5 %",
    ),
    "whatif.assumed.work": (
        "the plug-ins can pause 10 % of the load of their sites within 2 s, in 4 steps; half of the energy comes back within 15 min",
        "プラグインは各拠点の負荷の 10 % を 2 秒以内に 4 段階で停止でき、エネルギーの半分が 15 分以内に戻る",
    ),
    "whatif.assumed.no_work": (
        "there is no work that can be shifted: the settings name no plug-in",
        "シフトできるワークロードはない(設定にプラグインがない)",
    ),
    "whatif.assumed.profiles": (
        "every profile is there: names were not looked up, because the settings give profile_dirs",
        "プロファイルはすべてある(設定に profile_dirs があるため、名前は確認していない)",
    ),
    "whatif.notice": ("notice: {what}", "注意: {what}"),
    "whatif.notice.load": (
        "the load of {site} rises to {found} kW, more than its contracted import of {limit} kW",
        "{site} の負荷は {found} kW に達し、契約電力 {limit} kW を超える",
    ),
    "whatif.notice.away": (
        "the work of {site} can take {found} kW away, more than its load of {load} kW at its lowest",
        "{site} のワークロードは {found} kW を減らせるが、負荷は最低で {load} kW しかない",
    ),
    "whatif.notice.comes": (
        "work of {found} kW can come to {site}, more than its contracted import of {limit} kW and its PV take up",
        "{site} に来るワークロードは {found} kW で、契約電力 {limit} kW と太陽光を合わせたものを超える",
    ),
    "whatif.late": (
        "{name}: received {late} s after its start",
        "{name}: 開始の {late} 秒後に受信",
    ),
    "whatif.late.counted": (
        "; {count} s count, from 10 s after that",
        "。その 10 秒後からの {count} 秒で判定",
    ),
    "whatif.column.event": ("event", "イベント"),
    "whatif.column.target": ("target MW", "目標 MW"),
    "whatif.column.delivered": ("delivered MW", "実績 MW"),
    "whatif.column.reached": ("reached", "到達"),
    "whatif.column.within": ("within 10 %", "10 % 以内"),
    "whatif.column.tiers": ("by tier MW", "段別 MW"),
    "whatif.column.sites": ("by site MW", "拠点別 MW"),
    "whatif.column.shortfall": ("shortfall MW", "不足量 MW"),
    "whatif.out": ("opted out: {why}", "拒否: {why}"),
    "whatif.hand_over": (
        "{name}: hand-over {number}: work of {mw} MW, ordered at {ordered} s ({after} s after the event's start), had taken over from the batteries {lasted} s later, at {real} s",
        "{name}: 引き継ぎ {number}: {ordered} 秒(イベント開始の {after} 秒後)に命令したワークロード {mw} MW が、{lasted} 秒かけて {real} 秒に蓄電池からの引き継ぎを完了",
    ),
    "whatif.after": (
        "{name}: after its end work came back at {site}, {mwh} MWh at up to {mw} MW until {until} s; the site was at most {above} MW "
        "above its baseline (means of a minute)",
        "{name}: 終了後、{site} に負荷が戻り、{until} 秒までに {mwh} MWh(最大 {mw} MW)を消費。受電はベースライン比で最大 {above} MW(1分平均)",
    ),
    "whatif.failed": (
        "failure: {what} {where} ({how}) at {at} s{until}",
        "故障: {what} {where}({how})、{at} 秒{until}",
    ),
    "whatif.until": (" to {at} s", "から {at} 秒まで"),
    "whatif.sun": (
        "PV (modelled): {used} of {sun} MWh used; of a surplus of {surplus} MWh {taken} were taken, {share} of the {bound} that the best plan with perfect foresight takes (linear program)",
        "太陽光(推定値): {sun} MWh のうち {used} MWh を使用。余剰 {surplus} MWh のうち {taken} MWh を活用({share}、完全予見の最良計画(線形計画)では {bound} MWh)",
    ),
    "whatif.trouble": (
        "the engine could not digest a fact: {why}",
        "エンジンが事実を処理できませんでした: {why}",
    ),
    "whatif.unreported": (
        "{name}: {count} s fell short while the gateway took them for good",
        "{name}: ゲートウェイが達成とみなした {count} 秒で不足",
    ),
    "word.fault.battery": ("battery", "蓄電池"),
    "word.fault.meter": ("meter", "メーター"),
    "word.fault.plug-in": ("plug-in", "プラグイン"),
    "word.fault.planner": ("planner", "プランナー"),
    "word.fault.link": ("link", "リンク"),
    "word.fault.site": ("site agent", "拠点エージェント"),
    "word.tier.pv": ("PV", "太陽光"),
    "word.tier.rest": ("rest", "その他"),
    # --- the picture ---------------------------------------------------------------------------------------------
    "whatif.picture.regulation": ("regulation, MW", "調整量 MW"),
    "whatif.picture.target": ("target ±10 %", "目標 ±10 %"),
    "whatif.picture.delivered": ("delivered", "実績"),
    "whatif.picture.soc": ("SoC, %", "充電率 %"),
    "whatif.picture.time": ("seconds from the start of the play", "シミュレーション開始からの秒数"),
    "whatif.picture.hand_overs": ("hand-overs, ordered to real:", "引き継ぎ(命令から実現まで):"),
    "whatif.picture.hand_over": (
        "{number}: {mw} MW, {ordered} to {real} s",
        "{number}: {mw} MW、{ordered}〜{real} 秒",
    ),
    "whatif.picture.hand_overs_more": ("and {count} more: in the table", "ほか {count} 件は表に記載"),
    "whatif.picture.failure": ("{what} fails", "{what} 故障"),
    "whatif.picture.site": ("{site}, MW", "{site} MW"),
    "whatif.picture.modelled": ("modelled, seed {seed}", "推定値、シード {seed}"),
    # --- `events why`: orders for another event, and several orders alike --------------------------------------------
    "why.order.shared_ordered": (
        "{offer}, ordered for {other}, gives {kw} kW here too (cost {cost}); the batteries bridge until the meter shows it.",
        "{other} のために命令した {offer} が、ここでも {kw} kW を出す(費用 {cost})。メーターに現れるまで蓄電池がつなぐ。",
    ),
    "why.order.shared_back": (
        "{offer}, ordered for {other}, is told to return: its {kw} kW here end (cost {cost}).",
        "{other} のために命令した {offer} に復帰を命令: ここでの {kw} kW が終わる(費用 {cost})。",
    ),
    "why.orders.shared_ordered": (
        "{count} orders for {offer}, made for {other}, give {count} × {kw} kW here too (cost {cost}); the batteries bridge until the meter shows it.",
        "{other} のための {offer} への命令 {count} 件が、ここでも {count} × {kw} kW を出す(費用 {cost})。メーターに現れるまで蓄電池がつなぐ。",
    ),
    "why.orders.shared_back": (
        "{count} orders for {offer}, made for {other}, are told to return: their {count} × {kw} kW here end (cost {cost}).",
        "{other} のための {offer} への命令 {count} 件に復帰を命令: ここでの {count} × {kw} kW が終わる(費用 {cost})。",
    ),
    "why.orders.ordered": (
        "{offer} is ordered {count} times: {count} × {kw} kW at cost {cost}; the batteries bridge until the meter shows it.",
        "{offer} に {count} 件を命令: {count} × {kw} kW(費用 {cost})。メーターに現れるまで蓄電池がつなぐ。",
    ),
    "why.orders.prepared": (
        "{offer} is prepared {count} times: {count} × {kw} kW at cost {cost} wait for the start.",
        "{offer} は {count} 件を準備済み: {count} × {kw} kW(費用 {cost})が開始を待つ。",
    ),
    "why.orders.active": (
        "{offer} gives {count} × {kw} kW by the plug-in's own word; what counts is the meter.",
        "{offer} は {count} × {kw} kW を実施中(プラグインの申告)。判定はメーターで行う。",
    ),
    "why.orders.returned": (
        "{offer} is back ({count} × {kw} kW): its work runs as before.",
        "{offer} は復帰済み({count} × {kw} kW): ワークロードは元どおり。",
    ),
    "why.orders.failed": (
        "{count} orders for {offer} failed ({why}): their {count} × {kw} kW at cost {cost} are given by the batteries, and the next plan looks for something else.",
        "{offer} への命令 {count} 件に失敗({why}): {count} × {kw} kW(費用 {cost})は蓄電池が補い、次の計画で他の手段を探す。",
    ),
    "why.orders.late": (
        "{count} orders for {offer} are late: {count} × {kw} kW (cost {cost}) are not active {seconds} s after the order. They are told to return and not called for a while; the batteries give them, and the next plan looks for something else.",
        "{offer} への命令 {count} 件が遅れている: {count} × {kw} kW(費用 {cost})が命令から {seconds} 秒たっても有効にならない。復帰を命令し、しばらく呼び出さない。蓄電池が補い、次の計画で他の手段を探す。",
    ),
    "why.orders.back": (
        "{offer} is told to return ({count} × {kw} kW, cost {cost}): the plan does without it.",
        "{offer} に復帰を命令({count} × {kw} kW、費用 {cost}): 計画上は不要になった。",
    ),
    "why.orders.back_at_end": (
        "{offer} is told to return ({count} × {kw} kW, cost {cost}): nothing is asked any more.",
        "{offer} に復帰を命令({count} × {kw} kW、費用 {cost}): 要求が終わった。",
    ),
    # --- replay --------------------------------------------------------------------------------------------------
    "replay.head": (
        "{path}: {facts} facts from {since} to {until}, {decisions} decisions",
        "{path}: 事実 {facts} 件({since}〜{until})、判断 {decisions} 件",
    ),
    "replay.same": (
        "identical: {compared} decisions of the run are what the same facts give again",
        "一致: 実行時の判断 {compared} 件は、同じ事実から再び得られた",
    ),
    "replay.so_far": (
        "identical as far as it can be read: {compared} decisions of the run are what the same facts give again",
        "読める範囲で一致: 実行時の判断 {compared} 件は、同じ事実から再び得られた",
    ),
    "replay.beyond": (
        "{count} further decisions of the run follow from records that cannot be read",
        "実行時の判断のうち残り {count} 件は、読めない記録によるもの",
    ),
    "replay.not_whole": ("{path} is not whole: {why}", "{path} に欠損があります: {why}"),
    "replay.not_a_journal": ("{path} is no journal", "{path} はジャーナルではありません"),
    "replay.bad_run": (
        "{path} does not say on which settings the run was made: {why}; give them with --config FILE",
        "{path} から実行時の設定を読めません: {why}。--config で設定ファイルを指定してください",
    ),
    "replay.bad_decisions": (
        "{path}, the decisions of the run, cannot be read: {why}",
        "実行時の判断 {path} を読めません: {why}",
    ),
    "replay.field": (
        "{kind}: {field} was {was} in the run, is {now} in the replay",
        "{kind}: {field} は実行時 {was}、リプレイでは {now}",
    ),
    "replay.torn": (
        "line {line} of {file} is no decision, it was cut or altered: {was}",
        "{file} の {line} 行目は判断として読めません(切断または改変): {was}",
    ),
    "replay.different": (
        "different at record {seq} ({kind}, {at}): {what}",
        "相違: 記録 {seq}({kind}、{at}): {what}",
    ),
    "replay.gap": (
        "{count} readings were archived or lost; decisions are compared from record {seq} on",
        "計測値 {count} 件は保管済みまたは欠落。記録 {seq} 以降の判断を比較した",
    ),
    "replay.no_journal": ("there is no journal at {path}", "{path} にジャーナルがありません"),
    "replay.no_config": (
        "{path} does not say on which settings it was made: give --config FILE",
        "{path} には設定が残っていません。--config で設定ファイルを指定してください",
    ),
    "replay.other_config": (
        "the configuration has no '{name}', of which the journal speaks: give the one of the run with --config",
        "ジャーナルに記録された '{name}' が設定にありません。--config で実行時の設定を指定してください",
    ),
    "replay.decision": ("the run had {was}, the replay has {now}", "実行時は {was}、リプレイでは {now}"),
    "replay.missing": (
        "the run had {was}, the replay decides nothing",
        "実行時は {was}、リプレイでは判断なし",
    ),
    "replay.extra": ("the run decided nothing, the replay has {now}", "実行時は判断なし、リプレイでは {now}"),
}
