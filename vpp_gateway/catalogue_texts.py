"""The texts of `catalogue`: key -> (English, Japanese). A table; keys are grouped by who speaks.

problem.*   what is wrong in a file, read after `file:line:column: key: `
status.*    the commands `status` and `events`
identity.*, config.*, cli.*   the other commands
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    # --- what is wrong in a file ---------------------------------------------------------------------------------
    "problem.near": ("did you mean '{near}'?", "'{near}' ではありませんか?"),
    "problem.no_file": ("cannot be read: there is no such file", "読めません: ファイルがありません"),
    "problem.folder": (
        "is a folder; a YAML file is expected",
        "フォルダーです。YAML ファイルを指定してください",
    ),
    "problem.no_permission": ("cannot be read: permission denied", "読めません: 読み取り権限がありません"),
    "problem.unreadable": ("cannot be read: {reason}", "読めません: {reason}"),
    "problem.too_big": (
        "is {size} bytes; at most {limit} are read",
        "{size} バイトです。上限は {limit} バイトです",
    ),
    "problem.encoding": (
        "is not UTF-8 text (byte {offset}); save the file as UTF-8",
        "UTF-8 ではありません({offset} バイト目)。UTF-8 で保存してください",
    ),
    "problem.syntax": ("is not valid YAML: {reason}", "YAML の文法エラー: {reason}"),
    "problem.empty": ("the file is empty; allowed: {allowed}", "ファイルが空です。書けるもの: {allowed}"),
    "problem.not_mapping": (
        "the file must hold 'key: value' lines, found {found}",
        "ファイルは「キー: 値」の行でなければなりません。見つかったもの: {found}",
    ),
    "problem.duplicate_key": (
        "the key stands twice in the same block; keep one",
        "同じブロックに同じキーが 2 回あります。1 つにしてください",
    ),
    "problem.tag": (
        "the tag {tag} is not allowed; write a plain value",
        "タグ {tag} は使えません。値だけを書いてください",
    ),
    "problem.key_not_text": (
        "the key {found} is not text; put it in quotes",
        "キー {found} は文字列ではありません。引用符で囲んでください",
    ),
    "problem.endless": (
        "anchors and aliases unfold to more than {limit} values; write the values out",
        "アンカーとエイリアスを展開すると値が {limit} 個を超えます。値を直接書いてください",
    ),
    "problem.unknown_key": ("unknown key; allowed: {allowed}", "不明なキーです。使えるキー: {allowed}"),
    "problem.missing": ("is missing; it says: {meaning}", "必須ですが、ありません。意味: {meaning}"),
    "problem.range": ("is {found}; allowed: {allowed}", "{found} です。許される値: {allowed}"),
    "problem.choice": ("is {found}; allowed: {allowed}", "{found} です。許される値: {allowed}"),
    "problem.type.text": ("is {found}; allowed: text", "{found} です。文字列を書いてください"),
    "problem.type.quote": (
        'is {found}; allowed: text, so put it in quotes: "{found}"',
        '{found} です。文字列なので引用符で囲んでください: "{found}"',
    ),
    "problem.type.number": (
        "is {found}; allowed: a number without quotes or unit",
        "{found} です。引用符も単位もない数値を書いてください",
    ),
    "problem.type.whole": (
        "is {found}; allowed: a whole number without quotes",
        "{found} です。引用符のない整数を書いてください",
    ),
    "problem.type.switch": (
        "is {found}; allowed: true or false",
        "{found} です。true か false を書いてください",
    ),
    "problem.type.mapping": (
        "is {found}; allowed: a block of 'key: value' lines",
        "{found} です。「キー: 値」の行のブロックを書いてください",
    ),
    "problem.type.list": (
        "is {found}; allowed: a list of '- ' lines",
        "{found} です。「- 」で始まる行のリストを書いてください",
    ),
    "problem.finite": ("is {found}; allowed: a finite number", "{found} です。有限の数値を書いてください"),
    "problem.pattern": ("is {found}; allowed: {allowed}", "{found} です。許される書き方: {allowed}"),
    "problem.too_short": ("holds {found}; at least {least}", "{found} 個です。{least} 個以上必要です"),
    "problem.too_long": ("holds {found}; at most {most}", "{found} 個です。{most} 個までです"),
    "problem.text_short": (
        "is {found}; at least {least} characters",
        "{found} です。{least} 文字以上必要です",
    ),
    "problem.text_long": (
        "has {found} characters; at most {most}",
        "{found} 文字あります。{most} 文字までです",
    ),
    "problem.said": ("{reason}", "{reason}"),
    "problem.flipped_sign": (
        "is {found}, but {key} is {allowed}; the direction is in the name, the number is its size",
        "{found} ですが、{key} は {allowed} です。向きは名前が示し、数値は大きさです",
    ),
    "problem.beyond_sense": (
        "is {found} kW, beyond any data centre (at most {most} kW); is it written in W? then {kw} kW",
        "{found} kW はデータセンターの規模を超えています(最大 {most} kW)。W で書いていませんか? それなら {kw} kW です",
    ),
    "problem.percent": (
        "is {found}; allowed: a share {allowed}; write {share} for {found} %",
        "{found} です。0 から 1 の割合で書きます({allowed})。{found} % は {share} です",
    ),
    "problem.duplicate": (
        "'{found}' is already used at line {line} ({other}); each must be its own",
        "'{found}' は {line} 行目({other})で使われています。重複しないようにしてください",
    ),
    "problem.same_endpoint": (
        "{found} is already the device at line {line} ({other}); one device belongs to one place only",
        "{found} は {line} 行目({other})の機器と同じです。1 つの機器は 1 か所にだけ置けます",
    ),
    "problem.unknown_site": (
        "there is no site '{found}'; allowed: {allowed}",
        "拠点 '{found}' はありません。使えるもの: {allowed}",
    ),
    "problem.soc_order": (
        "soc_min {low} is not below soc_max {high}; the operating window is empty",
        "soc_min {low} が soc_max {high} より小さくありません。運転範囲がありません",
    ),
    "problem.timing.heartbeat": (
        "heartbeat_s {found} is larger than refresh_s {limit}; allowed: heartbeat_s <= refresh_s",
        "heartbeat_s {found} が refresh_s {limit} より長い。heartbeat_s <= refresh_s としてください",
    ),
    "problem.timing.refresh": (
        "refresh_s {found} is larger than a third of reversion_s {reversion}; allowed: refresh_s <= {limit}, "
        "so that a battery survives two missed refreshes",
        "refresh_s {found} が reversion_s {reversion} の 3 分の 1 より長い。refresh_s <= {limit} としてください"
        "(更新が 2 回抜けてもよいように)",
    ),
    "problem.timing.hold": (
        "hold_s {found} is not above refresh_s {limit}; allowed: hold_s > refresh_s, "
        "so that one lost message does not end an event",
        "hold_s {found} が refresh_s {limit} 以下です。hold_s > refresh_s としてください"
        "(メッセージが 1 つ抜けてもイベントが終わらないように)",
    ),
    "problem.url": (
        "is {found}; allowed: https://HOST[:PORT]/PATH without user, query or fragment",
        "{found} です。https://HOST[:PORT]/PATH と書きます(ユーザー名、クエリー、フラグメントなし)",
    ),
    "problem.url_service": (
        "ends in the service {service}; write the address up to there, the gateway adds the service itself",
        "サービス名 {service} で終わっています。その前までを書いてください。サービス名はゲートウェイが付けます",
    ),
    "problem.plain_http": (
        "http:// would carry orders in clear text to {host}; allowed: https:// (http:// to 127.0.0.1 only)",
        "http:// では指令が平文で {host} に流れます。https:// を使ってください(http:// は 127.0.0.1 のみ)",
    ),
    "problem.https_needs_tls": (
        "https:// needs the block tls: with ca, cert and key",
        "https:// には tls: ブロック(ca, cert, key)が必要です",
    ),
    "problem.sign_needs_tls": (
        "sign: true needs the block tls: with the key that signs",
        "sign: true には署名用の鍵を含む tls: ブロックが必要です",
    ),
    "problem.open_console": (
        "the console would be reachable from other machines in clear text; allowed: 127.0.0.1, "
        "or a block tls: with cert and key",
        "監視画面に他の機械から平文でアクセスできてしまいます。127.0.0.1 とするか、tls: ブロック(cert, key)を書いてください",
    ),
    "problem.socket_path": (
        "the control socket {found} has {size} bytes, a socket address holds {limit}; take a shorter state_dir",
        "制御ソケット {found} は {size} バイトで、上限 {limit} バイトを超えます。state_dir を短くしてください",
    ),
    "problem.file_missing": ("there is no file {found}", "ファイル {found} がありません"),
    "problem.file_unreadable": ("{found} cannot be read: {reason}", "{found} が読めません: {reason}"),
    "problem.file_not_regular": ("{found} is not a file", "{found} はファイルではありません"),
    "problem.key_open": (
        "the private key {found} has mode {mode}: others can read or change it; allowed: 0600 (chmod 600 {found})",
        "秘密鍵 {found} のモードが {mode} で、他人が読み書きできます。0600 にしてください(chmod 600 {found})",
    ),
    "problem.key_other": (
        "{found} is not the key of the certificate {other}; take the key that its CSR was made from",
        "{found} は証明書 {other} の鍵ではありません。CSR を作ったときの鍵を指定してください",
    ),
    "problem.no_profile": (
        "there is no {kind} profile '{found}'; allowed: {allowed}",
        "{kind} プロファイル '{found}' はありません。使えるもの: {allowed}",
    ),
    "problem.profile_name": (
        "'{found}' is not a profile name; allowed: letters, digits, '-', '_', '.'",
        "'{found}' はプロファイル名ではありません。英数字と '-', '_', '.' が使えます",
    ),
    "problem.profile_kind": (
        "the profile '{found}' describes a {kind}; a {expected} is needed here",
        "プロファイル '{found}' は {kind} 用です。ここには {expected} 用が必要です",
    ),
    "problem.profile_renamed": (
        "is '{found}', but the file is called {file}; both must agree",
        "'{found}' ですが、ファイル名は {file} です。一致させてください",
    ),
    "problem.no_plugin": (
        "no installed package offers the plug-in '{found}'; installed: {allowed}",
        "プラグイン '{found}' を提供するパッケージがありません。導入済み: {allowed}",
    ),
    # --- kinds of found values -----------------------------------------------------------------------------------
    "found.certificate": ("a certificate", "証明書"),
    "found.private_key": (
        "an unencrypted EC P-256 or RSA private key",
        "暗号化されていない EC P-256 または RSA の秘密鍵",
    ),
    "found.nothing": ("empty", "空"),
    "found.mapping": ("a block of keys", "キーのブロック"),
    "found.list": ("a list", "リスト"),
    # --- common to the commands ----------------------------------------------------------------------------------
    "cli.not_running": (
        "no gateway is running here: nobody listens on {socket}; 'vpp-gateway run' starts one, --config names one",
        "ゲートウェイが動いていません: {socket} で応答なし。'vpp-gateway run' で起動、--config で指定してください",
    ),
    "cli.not_allowed": (
        "no permission to ask the gateway on {socket}: only the user who runs it may (for instance sudo -u USER)",
        "{socket} のゲートウェイに問い合わせる権限がありません。実行ユーザーだけが可能です(例: sudo -u USER)",
    ),
    "cli.broken_answer": (
        "the gateway on {socket} gave no answer that can be used: {reason}",
        "{socket} のゲートウェイから使える応答がありません: {reason}",
    ),
    "cli.version_gap": (
        "the gateway speaks status version {found}, this command {expected}; use the command of the same release",
        "ゲートウェイの状態形式は版 {found}、このコマンドは版 {expected} です。同じリリースのコマンドを使ってください",
    ),
    "cli.not_installed": (
        "this installation has no '{what}' ({reason})",
        "この導入環境には '{what}' がありません({reason})",
    ),
    "cli.no_config": (
        "there is no configuration file {file}; write one with 'vpp-gateway config init', or name it with --config",
        "設定ファイル {file} がありません。'vpp-gateway config init' で作るか、--config で指定してください",
    ),
    "cli.stdout": ("standard output cannot be written: {why}", "標準出力に書けません: {why}"),
    "cli.problems": ("{count} to be put right", "修正が必要: {count} 件"),
    # --- config --------------------------------------------------------------------------------------------------
    "config.valid": (
        "{file}: valid. {sites} sites, {batteries} batteries (discharge {discharge} MW, {energy} MWh), "
        "{northbound} northbound, {plugins} plug-ins",
        "{file}: 正しい設定です。拠点 {sites}、蓄電池 {batteries}(放電 {discharge} MW、{energy} MWh)、"
        "上位接続 {northbound}、プラグイン {plugins}",
    ),
    "config.unchecked": (
        "(key files and plug-ins were not looked at; names of profiles only where profile_dirs is not given)",
        "(鍵ファイルとプラグインは確認していません。プロファイル名は profile_dirs がない場合だけ確認しました)",
    ),
    "config.exists": (
        "{file} exists already; nothing was written (--force overwrites)",
        "{file} は既にあります。何も書いていません(--force で上書き)",
    ),
    "config.written": ("wrote {file} and {schema}", "{file} と {schema} を書きました"),
    "config.next": ("next: vpp-gateway config check {file}", "次: vpp-gateway config check {file}"),
    "config.next_keys": (
        "before that: vpp-gateway identity csr --key {key} --out {csr} --cn {name}, have it signed by the utility's "
        "CA, and put the certificate at {cert}, the CA at {ca}",
        "その前に: vpp-gateway identity csr --key {key} --out {csr} --cn {name} を実行し、電力会社の CA の署名を"
        "受けて、証明書を {cert}、CA を {ca} に置いてください",
    ),
    # --- identity ------------------------------------------------------------------------------------------------
    "identity.key_exists": (
        "{file} exists already; a key is never overwritten without --force (a new key means a new registration)",
        "{file} は既にあります。鍵は --force なしでは上書きしません(鍵が変わると再登録が必要です)",
    ),
    "identity.file_exists": (
        "{file} exists already; --force overwrites",
        "{file} は既にあります。--force で上書きします",
    ),
    "identity.no_folder": ("{folder} is not an existing folder", "{folder} というフォルダーはありません"),
    "identity.unreadable": ("{file} cannot be read: {reason}", "{file} が読めません: {reason}"),
    "identity.unwritable": ("{file} cannot be written: {reason}", "{file} に書けません: {reason}"),
    "identity.not_pem": (
        "{file} is not {expected} in PEM form: {reason}",
        "{file} は PEM 形式の {expected} ではありません: {reason}",
    ),
    "identity.key_kind": (
        "the key {file} is {found}; allowed: EC P-256, RSA of 2048 bit or more",
        "鍵 {file} は {found} です。EC P-256 か RSA 2048 bit 以上としてください",
    ),
    "identity.subject_wrong": (
        "the subject of the request cannot be made: {reason}",
        "要求の主体者名が作れません: {reason}",
    ),
    "identity.ven_name": (
        "VEN name '{found}'; allowed: letters, digits, '-' and '_', and neither ca nor vtn",
        "VEN 名 '{found}' は使えません。英数字と '-', '_' が使えます(ca と vtn は不可)",
    ),
    "identity.csr_written": (
        "wrote {csr}; its private key is {key} (mode 0600, keep it there)",
        "{csr} を書きました。秘密鍵は {key} です(モード 0600、そのまま保管)",
    ),
    "identity.dev_ca_written": (
        "wrote a DEVELOPMENT ONLY certificate authority to {folder}: {names}",
        "開発専用の認証局を {folder} に書きました: {names}",
    ),
    "identity.none": (
        "{file} names no certificate: no northbound connection has a tls block",
        "{file} に証明書の指定がありません(tls ブロックを持つ上位接続がありません)",
    ),
    "identity.need_input": (
        "name a certificate with --cert FILE or a configuration with --config FILE",
        "--cert FILE か --config FILE を指定してください",
    ),
    "identity.subject": ("subject", "主体者"),
    "identity.issuer": ("issuer", "発行者"),
    "identity.serial": ("serial", "シリアル番号"),
    "identity.key": ("key", "鍵"),
    "identity.valid": ("valid", "有効期間"),
    "identity.fingerprint": ("fingerprint", "フィンガープリント"),
    "identity.fingerprint_sha1": ("... by SHA-1", "同 SHA-1"),
    "identity.lfdi": ("LFDI", "LFDI"),
    "identity.sfdi": ("SFDI", "SFDI"),
    "identity.days_left": ("{days} days left", "残り {days} 日"),
    "identity.expired": ("EXPIRED {days} days ago", "有効期限切れ({days} 日前)"),
    "identity.not_yet": ("NOT YET VALID, starts in {days} days", "まだ有効ではありません(あと {days} 日)"),
    # --- status and events ---------------------------------------------------------------------------------------
    "status.ok": ("OK", "正常"),
    "status.degraded": ("DEGRADED", "要確認"),
    "status.simulated": ("SIMULATED", "シミュレーション"),
    "status.gateway": (
        "{name}  v{version}  epoch {epoch}  up {up}",
        "{name}  v{version}  epoch {epoch}  稼働 {up}",
    ),
    "status.import": ("import {now} MW (baseline {baseline})", "受電電力 {now} MW(ベースライン {baseline})"),
    "status.relief": (
        "relief {now} of {target} MW, short {short}",
        "調整量 {now} / 指令 {target} MW、不足量 {short}",
    ),
    "status.no_order": ("relief {now} MW, nothing ordered", "調整量 {now} MW、指令なし"),
    "status.tiers": ("by tier: {tiers}", "内訳: {tiers}"),
    "status.tier": ("{tier} {mw} MW", "{tier} {mw} MW"),
    "status.heading.alarms": ("Alarms", "警報"),
    "status.heading.sites": ("Sites", "拠点"),
    "status.heading.devices": ("Devices not good", "異常な機器"),
    "status.heading.links": ("Links", "接続"),
    "status.heading.events": ("Events", "イベント"),
    "status.heading.plugins": ("Plug-ins", "プラグイン"),
    "status.column.severity": ("severity", "重大度"),
    "status.column.code": ("code", "コード"),
    "status.column.text": ("what", "内容"),
    "status.column.since": ("since", "発生"),
    "status.column.site": ("site", "拠点"),
    "status.column.health": ("health", "健全性"),
    "status.column.import": ("import MW", "受電電力 MW"),
    "status.column.relief": ("relief MW", "調整量 MW"),
    "status.column.target": ("target", "指令"),
    "status.column.soc": ("SoC", "充電率"),
    "status.column.age": ("age", "経過"),
    "status.column.reason": ("why", "理由"),
    "status.column.device": ("device", "機器"),
    "status.column.link": ("link", "接続"),
    "status.column.kind": ("kind", "種類"),
    "status.column.state": ("state", "状態"),
    "status.column.detail": ("detail", "詳細"),
    "status.column.event": ("event", "イベント"),
    "status.column.direction": ("DR", "DR"),
    "status.column.start": ("start JST", "開始 JST"),
    "status.column.opt": ("opt", "応諾・拒否"),
    "status.column.delivered": ("delivered", "実績"),
    "status.column.met": ("±10 %", "±10 %"),
    "status.column.plugin": ("plug-in", "プラグイン"),
    "status.column.offers": ("offers", "オファー"),
    "status.nothing": ("none", "なし"),
    "events.none": ("no events", "イベントはありません"),
    "events.unknown": (
        "there is no event '{found}'; known: {known}",
        "イベント '{found}' はありません。あるもの: {known}",
    ),
    "events.ambiguous": (
        "'{found}' is the id of several events: {known}",
        "'{found}' は複数のイベントの ID です: {known}",
    ),
    "events.until_cancelled": ("until cancelled", "取消まで"),
    "events.portfolio": ("all sites", "全拠点"),
    "events.test": ("TEST EVENT", "テストイベント"),
    "events.head": ("{id} (modification {modification})", "{id}(変更番号 {modification})"),
    "events.direction.down": ("down-DR: relieve the grid", "下げDR"),
    "events.direction.up": ("up-DR: take more", "上げDR"),
    "events.row.state": ("state", "状態"),
    "events.row.order": ("ordered", "指令"),
    "events.row.scope": ("scope", "対象範囲"),
    "events.row.window": ("window JST", "期間 JST"),
    "events.row.opt": ("opt", "応諾・拒否"),
    "events.row.delivered": ("delivered", "実績"),
    "events.row.shortfall": ("shortfall", "不足量"),
    "events.row.tiers": ("by tier", "段別"),
    "events.row.sites": ("by site", "拠点別"),
    "events.row.why": ("why", "理由"),
    "events.met": ("within 10 %", "±10 % 以内"),
    "events.missed": ("NOT within 10 %", "±10 % 逸脱"),
    "events.unjudged": ("not judged yet", "未判定"),
    "events.stages": ("stages, seconds after the order arrived", "各段階(受信からの秒数)"),
    "events.stage.received_at": ("order received", "受信"),
    "events.stage.answered_at": ("answered", "応答"),
    "events.stage.started_at": ("interval in force", "開始"),
    "events.stage.first_setpoint_at": ("first setpoint", "最初の設定値"),
    "events.stage.all_setpoints_at": ("all setpoints", "全設定値"),
    "events.stage.reached_at": ("target reached", "目標到達"),
    "events.stage.ended_at": ("ended", "終了"),
}
