"""What parts of the gateway say in English, clause by clause, and the same in Japanese: table of `catalogue.retell`.

Reasons of devices, links, plug-ins, VTNs and the journal reach the centre as text: over the link, over contracts that
others write to, out of old journals. A code in each of those messages would not help against the words of a peer, so
the words themselves are the key. A test holds every clause to the code that says it.

A clause ends at `; ` or `: `. Key -> (English, Japanese).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vpp_gateway.catalogue_events import EVENTS_SAID

SAID: Final[Mapping[str, tuple[str, str]]] = {
    **EVENTS_SAID,
    # --- links and sites -----------------------------------------------------------------------------------------
    "said.site_silent": ("no readings from the site", "拠点から計測値が届かない"),
    "said.site_awaited": ("waiting for the site agent", "拠点エージェントの接続待ち"),
    "said.agent_away": ("the site agent is not connected", "拠点エージェントが未接続"),
    "said.agent_closed": ("the site agent closed the link", "拠点エージェントがリンクを閉じた"),
    "said.reader_away": (
        "read by {site}, whose agent is not linked",
        "{site} が読み取るが、その拠点エージェントが未接続",
    ),
    "said.check_followed": ("its check meter is followed", "副計器に従う"),
    "said.check_sees": (
        "what flows is seen by its check meter",
        "受電電力は副計器で見ている",
    ),
    "said.carries_on": (
        "its agent is taken to carry on alone",
        "拠点エージェントは自律継続しているとみなす",
    ),
    "said.link_line": ("a line longer than {limit} bytes", "1 行が {limit} バイトを超えた"),
    "said.link_foreign": ("not a message of an agent", "エージェントのメッセージではない"),
    # --- readings ------------------------------------------------------------------------------------------------
    "said.not_read": ("not read yet", "まだ読み取っていない"),
    "said.silent": ("no answer", "応答がない"),
    "said.no_reading_now": ("no reading", "計測値がない"),
    "said.blocked": ("blocked by the operator now", "運用者が使用停止中"),
    "said.plugin_failed": ("it failed an order", "命令に失敗した"),
    "said.plugin_late": ("it was late with an order", "命令の実施が遅れた"),
    "said.no_such_order": ("there is no such order or offer", "そのような命令やオファーはない"),
    "said.no_reading": ("no reading yet", "まだ計測値がない"),
    "said.reading_old": ("last reading {age} s ago", "最後の計測値は {age} 秒前"),
    "said.out_of_range": (
        "{what} reads {found}, expected {low}..{high}",
        "{what}の値が {found}(正しくは {low}〜{high})",
    ),
    "said.not_implemented": (
        "{what} reads 'not implemented', expected {low}..{high}",
        "{what}の値が「未実装」(正しくは {low}〜{high})",
    ),
    "said.what.soc": ("state of charge, %,", "充電率(%)"),
    "said.what.power": ("power, W,", "電力(W)"),
    "said.what.import": ("import, W,", "受電電力(W)"),
    "said.soc_still": (
        "state of charge stands still while energy flows",
        "充放電しているのに充電率が変わらない",
    ),
    "said.soc_jump": (
        "state of charge jumped by {by} % without such a flow of energy",
        "充放電量に見合わず充電率が {by} % 跳んだ",
    ),
    "said.meter_still": (
        "import stands still at {at} W while the batteries moved by {by} W",
        "蓄電池の出力が {by} W 変わったのに、受電電力が {at} W のまま動かない",
    ),
    # --- batteries -----------------------------------------------------------------------------------------------
    "said.local": ("switched to local control at the device", "機器側で現地操作に切り替えられている"),
    "said.off": ("the inverter is off", "インバーターが停止している"),
    "said.strays": (
        "confirmed {setpoint} W but delivers {found} W",
        "設定値 {setpoint} W を確認したのに、出力は {found} W",
    ),
    "said.untrue": (
        "{name} is {found}, which cannot be true",
        "{name} の値 {found} はあり得ない",
    ),
    "said.probation": (
        "looks well again, left out for another {left} s",
        "復帰したように見えるが、あと {left} 秒は使わない",
    ),
    "said.timer_dead": ("the reversion timer does not run", "復帰タイマーが動いていない"),
    "said.timer_out": ("the reversion timer ran out", "復帰タイマーが満了した"),
    "said.timer_still": ("the reversion timer stands still", "復帰タイマーが止まっている"),
    "said.timer_kept": (
        "the refresh does not restart the reversion timer",
        "リフレッシュしても復帰タイマーが戻らない",
    ),
    "said.timer_left": (
        "{left} s left, expected {expected} s",
        "残り {left} 秒(正しくは {expected} 秒)",
    ),
    "said.nameplate": ("{w} W is outside the nameplate {span}", "{w} W は定格 {span} の範囲外"),
    "said.no_setpoint": (
        "the device does not offer an absolute power setpoint (CtrlModes lacks FIXED_W)",
        "機器が電力の絶対値指定に対応していない(CtrlModes に FIXED_W がない)",
    ),
    "said.not_held": ("no longer holds its setpoint", "設定値を保持していない"),
    "said.reads_back": (
        "{field} reads back {found}, expected {expected}",
        "{field} の読み戻しが {found}(正しくは {expected})",
    ),
    "said.no_value": ("nothing", "値なし"),
    "said.not_released": ("the release was not taken over", "設定値の解除が反映されなかった"),
    "said.too_late": ("its deadline has passed", "期限が過ぎている"),
    "said.too_slow": ("its deadline passed before it could be carried out", "実行する前に期限が過ぎた"),
    "said.nothing_written": ("nothing was written", "何も書き込んでいない"),
    # --- Modbus --------------------------------------------------------------------------------------------------
    "said.not_yet": ("not connected yet", "まだ接続していない"),
    "said.unconnected": ("not connected", "未接続"),
    "said.no_connection": ("no connection within {limit} s", "{limit} 秒以内に接続できなかった"),
    "said.no_answer": ("no answer within {limit} s", "{limit} 秒以内に応答がなかった"),
    "said.broke": ("the connection broke", "接続が切れた"),
    "said.gone": ("connection lost", "接続が切れた"),
    "said.closed": ("the device closed the connection", "機器が接続を閉じた"),
    "said.registers": (
        "{found} registers instead of {expected}",
        "レジスターが {expected} 個でなく {found} 個",
    ),
    "said.reading": (
        "reading {count} registers at {address} ({purpose})",
        "{address} から {count} 個の読み取り({purpose})",
    ),
    "said.writing": (
        "writing {count} registers at {address} ({purpose})",
        "{address} へ {count} 個の書き込み({purpose})",
    ),
    "said.on_reading": ("{exception} on reading {address}", "{address} の読み取りで{exception}"),
    "said.on_head": (
        "{exception} on reading the head of the setpoint block at {address}",
        "設定値ブロックの先頭 {address} の読み取りで{exception}",
    ),
    "said.on_scan": (
        "exception {code} on reading {count} registers at {address} during the scan",
        "スキャン中、{address} から {count} 個の読み取りで例外 {code}",
    ),
    "said.exception": ("exception {code} ({meaning})", "例外 {code}({meaning})"),
    "said.exception.1": ("illegal function", "不正な機能コード"),
    "said.exception.2": ("illegal address", "不正なアドレス"),
    "said.exception.3": ("illegal value", "不正な値"),
    "said.exception.4": ("device failure", "機器の故障"),
    "said.exception.5": ("acknowledged, still working", "受付済み、処理中"),
    "said.exception.6": ("busy", "処理中"),
    "said.exception.7": ("negative acknowledge", "否定応答"),
    "said.exception.8": ("memory parity error", "メモリーのパリティーエラー"),
    "said.exception.10": ("gateway path unavailable", "ゲートウェイの経路なし"),
    "said.another_device": (
        "another device, or other registers or scale factors, than before the reconnect",
        "再接続の前と、機器、レジスター、スケール係数のいずれかが違う",
    ),
    "said.registers_moved": (
        "the setpoint registers are not where they were before the reconnect",
        "再接続の前と、設定値レジスターの位置が違う",
    ),
    "said.scale": ("scale factor {found} is outside -10..10", "スケール係数 {found} が -10〜10 の範囲外"),
    "said.no_scale": (
        "{model}.{scale}, the scale of {point}, is not implemented",
        "{point} のスケール係数 {model}.{scale} が未実装",
    ),
    "said.no_point": ("the device has no {point}", "機器に {point} がない"),
    "said.split_block": (
        "the points of one line do not touch",
        "1 行にまとめたポイントのアドレスが連続していない",
    ),
    "said.no_map": ("no SunSpec map at any of {bases}", "{bases} のどこにも SunSpec マップがない"),
    "said.no_sunspec": ("not a SunSpec device", "SunSpec 機器ではない"),
    "said.endless_map": ("the chain of SunSpec models does not end", "SunSpec モデルの連鎖が終わらない"),
    "said.no_model": ("the device lacks SunSpec model {models}", "機器に SunSpec モデル {models} がない"),
    "said.none_of": ("the device has none of {points}", "機器に {points} のいずれもない"),
    "said.of_profile": ("profile {name}", "プロファイル {name}"),
    "said.stranger": (
        "{point} is {found}, profile {profile} expects {expected}",
        "{point} が {found}(プロファイル {profile} では {expected})",
    ),
    "said.nameless": (
        "{point} says nothing, profile {profile} expects {expected}",
        "{point} に値がない(プロファイル {profile} では {expected})",
    ),
    "said.on_point": (
        "exception {code} on reading {point} at {address} ({table})",
        "{point}({table} {address})の読み取りで例外 {code}",
    ),
    "said.not_opened": ("cannot be opened", "開けない"),
    "said.no_factor": ("scale {found} is not positive", "倍率 {found} が正でない"),
    # --- workload plug-ins ---------------------------------------------------------------------------------------
    "said.unheard": ("not heard of yet", "まだ何も届いていない"),
    "said.not_started": ("not started yet", "まだ起動していない"),
    "said.cannot_start": ("cannot be started", "起動できない"),
    "said.ended": ("ended", "終了した"),
    "said.stopped": ("stopped with its host", "拠点エージェントとともに停止した"),
    "said.anew": ("started anew", "起動し直した"),
    "said.stop_released": ("the emergency stop was released", "緊急停止が解除された"),
    "said.stop": ("emergency stop", "緊急停止"),
    "said.stop_holds": ("nothing is begun until it is released", "解除されるまで何も開始しない"),
    "said.no_offer": ("nothing to offer now", "今はオファーがない"),
    "said.offers_old": ("offers expired and were not renewed", "オファーが更新されず期限切れになった"),
    "said.plugin_away": ("plug-in {name} is not there", "プラグイン {name} が動いていない"),
    "said.plugin": ("plug-in {what}", "プラグイン、{what}"),
    "said.version": (
        "speaks contract version {found}, expected {expected}",
        "契約の版が {found}(正しくは {expected})",
    ),
    "said.request": ("no answer to {request} within {limit} s", "{request} に {limit} 秒以内の応答がない"),
    "said.floods": ("floods", "送信過多"),
    "said.lines": ("more than {limit} lines a second", "1 秒に {limit} 行を超えた"),
    "said.unknown": ("outcome unknown", "結果不明"),
    "said.refused.prepare": ("prepare refused", "準備を拒否"),
    "said.refused.commit": ("commit refused", "実行を拒否"),
    "said.refused.rollback": ("rollback refused", "取り止めを拒否"),
    "said.away_too_long": (
        "its deadline passed while the plug-in was away",
        "プラグインの不在中に期限が過ぎた",
    ),
    "said.late": ("deadline passed {by} s ago, not begun", "期限を {by} 秒過ぎたため開始しない"),
    "said.forgotten": (
        "the plug-in does not know it after its restart",
        "プラグインの再起動後、命令が失われた",
    ),
    "said.found": ("as found after a restart", "再起動後に確認した状態"),
    # --- VTN -----------------------------------------------------------------------------------------------------
    "said.attempt": (
        "attempt {count} failed, next try at {at}",
        "{count} 回連続で失敗、次の試行は {at}",
    ),
    "said.clock": ("clock", "時計"),
    "said.skew": (
        "the VTN is {by} s {side} us, allowed are {limit} s",
        "VTN が {by} 秒{side}いる(許容 {limit} 秒)",
    ),
    "said.ahead": ("ahead of", "進んで"),
    "said.behind": ("behind", "遅れて"),
    "said.time_sources": ("compare time sources", "双方の時刻源を確認すること"),
    "said.owed": ("{count} answers wait for the VTN", "VTN へ未送信の応答が {count} 件"),
    "said.refused_last": (
        "{count} messages refused, last",
        "拒否したメッセージ {count} 件、最後のもの",
    ),
    "said.vtn_said": (
        "the VTN answered {name} with {code} {description}",
        "VTN が {name} に {code} {description} と応答",
    ),
    "said.again": ("registering again", "登録をやり直す"),
    "said.offer_again": ("offering the report again", "報告を登録し直す"),
    "said.no_reports": ("going on without reports", "報告なしで続ける"),
    "said.no_reply": ("{said} is no answer to {sent}", "{said} は {sent} への応答ではない"),
    "said.no_progress": ("{said} does not bring {phase} forward", "{said} では {phase} が進まない"),
    "said.empty": ("{name} was answered with an empty body", "{name} への応答の本文が空"),
    "said.cancelled": ("cancelled at our request", "こちらから登録を取り消した"),
    "said.vtn_anew": ("the VTN asked for a new registration", "VTN が再登録を求めた"),
    "said.vtn_cancelled": ("the VTN cancelled the registration", "VTN が登録を取り消した"),
    "said.rejoin": ("rejoin by hand", "手動で登録し直すこと"),
    "said.reset": ("reset by the operator", "運用者が初期化した"),
    "said.stays_out": ("stays out until told to register", "登録を指示されるまで登録しない"),
    "said.operator_anew": ("the operator asked for a new registration", "運用者が再登録を求めた"),
    "said.given_up": ("given up", "送信を断念"),
    "said.unregistered": ("registration refused", "登録を拒否された"),
    "said.no_ids": (
        "the VTN gave no registrationID or no venID",
        "VTN の応答に registrationID または venID がない",
    ),
    "said.registration": ("registration", "登録"),
    "said.vtn_id": ("expected vtnID {expected}, found {found}", "vtnID が {found}(正しくは {expected})"),
    "said.profile": ("expected profile 2.0b, found {found}", "プロファイルが {found}(正しくは 2.0b)"),
    "said.http": ("expected HTTP 200, found {status} {text}", "HTTP の応答が {status} {text}"),
    "said.body": (
        "expected at most {limit} bytes, found more",
        "本文が上限 {limit} バイトを超えた",
    ),
    "said.plan": (
        "last plan of {minutes} min, made in {ms} ms",
        "直近の計画は {minutes} 分先まで、計算時間 {ms} ms",
    ),
    "said.planner_silent": ("the planner does not answer", "プランナーから応答がない"),
    "said.planner_many": (
        "{count} instructions in the coming hour, a plan holds at most {most}",
        "今後1時間の指令が {count} 件あり、計画できるのは {most} 件まで",
    ),
    "said.planner_large": (
        "{count} batteries and offers, a plan holds at most {most}",
        "蓄電池とオファーが合計 {count} 件あり、計画できるのは {most} 件まで",
    ),
    # --- solver and journal --------------------------------------------------------------------------------------
    "said.loading": ("scipy is being loaded", "scipy を読み込み中"),
    "said.worker_code": ("the worker ended with {code}", "ソルバーが終了コード {code} で終了した"),
    "said.worker_ended": ("the worker ended", "ソルバーが終了した"),
    "said.worker_start": ("the worker ended while starting", "ソルバーが起動中に終了した"),
    "said.disk_full": ("disk full", "ディスクが満杯"),
    "said.in_ram": (
        "{count} records since {first} are in RAM only",
        "{first} 以降の {count} 件はメモリー上だけにある",
    ),
    "said.no_reserve": ("the disk-full reserve is used up", "満杯時の予備領域を使い切った"),
    "said.make_room": ("make room on this disk", "ディスクの空きを増やすこと"),
    "said.beside": (
        "the files beside the journal cannot be written",
        "ジャーナルに付属するファイルに書けない",
    ),
    "said.set_aside": (
        "records up to {last} were kept, the file was set aside as {name}",
        "{last} までの記録を残し、元のファイルは {name} として退避した",
    ),
    "said.all_aside": (
        "the whole file was set aside as {name}, nothing is left of it",
        "ファイル全体を {name} として退避した。記録は残っていない",
    ),
    "said.writes_no_more": (
        "the journal failed after record {last} and writes no more",
        "ジャーナルが記録 {last} の後で故障し、書き込みを止めた",
    ),
    "said.no_space": ("no space left", "空き領域がない"),
    "said.not_written": (
        "{count} records since {first} could not be written to {path}",
        "{first} 以降の記録 {count} 件を {path} に書けなかった",
    ),
    "said.bad_hash": (
        "record {seq} ({kind}) does not match its hash",
        "記録 {seq}({kind})がハッシュと一致しない",
    ),
    "said.read_until": (
        "only its records up to {last} can be read",
        "読めるのは {last} までの記録だけ",
    ),
    "said.read_nothing": ("none of its records can be read", "読める記録はない"),
    "said.left_alone": ("the file itself was left as it is", "ファイル自体には触れていない"),
    "said.file_empty": ("it is empty", "空である"),
    "said.too_short": (
        "the journal ends at record {last}, but record {seq} was committed once",
        "記録 {seq} まで確定していたのに、ジャーナルは記録 {last} で終わっている",
    ),
    "said.tail_cut": (
        "its tail was cut or an older copy put back",
        "末尾が切り取られたか、古いコピーに戻された",
    ),
    "said.fetch_again": (
        "what happened since must be fetched again from the VTNs",
        "その後の出来事は VTN から取得し直すこと",
    ),
    "said.no_head": ("journal.head is missing", "journal.head がない"),
    "said.cut_unseen": (
        "a cut tail would not have been noticed",
        "末尾が切り取られていても検出できなかった",
    ),
}
