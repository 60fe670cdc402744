"""What an operator reads in Japanese: the glossary's words everywhere, and what the gateway says is told in Japanese."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.repository import ROOT, under
from vpp_gateway.catalogue import TEXTS, retell, text, word
from vpp_gateway.catalogue_said import SAID
from vpp_gateway.catalogue_why import WHY
from vpp_gateway.demo import plan

NOT_SO = {
    "供給": "実績",
    "基準値": "ベースライン",
    "参加": "応諾・拒否",
    "承諾": "応諾",
    "修正番号": "変更番号",
    "サイト": "拠点",
    "階層": "段",
    "負荷シフト": "ワークロードシフト",
    "ワークロード移動": "ワークロードシフト",
    "試験": "テスト",
    "調整力": "調整量",
    "契約受電電力": "契約電力",
    "ストレージ": "蓄電池",
    "バッテリー": "蓄電池",
    "定置": "蓄電池",
    "需要応答": "デマンドレスポンス",
    "連系点": "受電点",
    "SoC": "充電率",
    "余裕": "余力",
}
"""What must not stand in a Japanese text -> the glossary's word for the idea."""
MARKET = re.compile("[一二三]次調整力")
"""Where such a word is right: the market's own names of its products."""
TABLE_ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \|", re.MULTILINE)
PAGE = ROOT / "vpp_gateway" / "console" / "ui" / "src" / "i18n" / "ja.json"
GLOSSARY = ROOT / "docs" / "glossary.md"
GUIDE = ROOT / "docs" / "ja" / "README.md"
KANA = re.compile(r"[ぁ-んァ-ヶ一-龠]")


@cache
def page() -> dict[str, str]:
    words = json.loads(PAGE.read_text("utf-8"))
    assert isinstance(words, dict)
    return words


def operator_texts() -> Iterator[tuple[str, str]]:
    """Where it stands, and what an operator reads there."""
    yield from ((key, japanese) for key, (_, japanese) in TEXTS.items())
    yield from page().items()
    yield from ((f"demo: {act.title}", act.title_ja) for act in plan.ACTS)
    yield from (
        (f"{GUIDE.name}:{n}", line) for n, line in enumerate(GUIDE.read_text("utf-8").splitlines(), 1)
    )
    japanese = (ROOT / "README.md").read_text("utf-8").partition("## 日本語")[2]
    assert japanese
    yield "README.md", japanese


def test_one_word_for_one_idea() -> None:
    wrong = [
        f"{where}: {used!r}, the glossary says {better!r}: {said}"
        for where, said in operator_texts()
        for used, better in NOT_SO.items()
        if used in MARKET.sub("", said)
    ]
    assert wrong == []


@cache
def glossary() -> dict[str, str]:
    """English -> Japanese."""
    return dict(TABLE_ROW.findall(GLOSSARY.read_text("utf-8")))


@pytest.mark.parametrize(
    ("idea", "page_key", "text_key"),
    [
        ("delivery", "delivered", "events.row.delivered"),
        ("delivery", "delivery", "status.column.delivered"),
        ("baseline", "portfolio.baseline", "status.import"),
        ("modification", "event.modification", "events.head"),
        ("site", "kind.site", "status.heading.sites"),
        ("opt in, opt out", "", "events.row.opt"),
        ("opt in, opt out", "", "status.column.opt"),
        ("tier", "chart.by.tier", "events.row.tiers"),
        ("workload shift", "tier.workload", "word.tier.workload"),
        ("battery", "tier.battery", "word.tier.battery"),
        ("import", "portfolio.import", "status.column.import"),
        ("regulation", "chart.regulation", "status.column.relief"),
        ("shortfall", "shortfall", "events.row.shortfall"),
        ("down-DR", "direction.down", "events.direction.down"),
        ("up-DR", "direction.up", "events.direction.up"),
        ("SoC", "soc", "status.column.soc"),
        ("reading", "chart.measured", ""),
        ("PCC, grid connection point", "site.import", ""),
        ("stopwatch", "stopwatch", ""),
        ("modelled", "modelled", ""),
        ("site agent", "unlinked", "alarm.site_lost"),
        ("default control", "battery.local", "alarm.site_lost"),
        ("contracted import", "", "why.bind.import"),
        ("scope", "", "events.row.scope"),
        ("test event", "", "events.test"),
        ("offer", "", "status.column.offers"),
        ("health", "", "status.column.health"),
        ("journal", "kind.journal", "word.kind.journal"),
        ("plug-in", "kind.plugin", "word.kind.plugin"),
    ],
)
def test_the_glossarys_word_is_used(idea: str, page_key: str, text_key: str) -> None:
    word_ = glossary()[idea].partition("（")[0]
    assert word_
    if page_key:
        assert word_ in page()[page_key]
    if text_key:
        assert word_ in TEXTS[text_key][1]


def test_the_answer_has_the_glossarys_two_words() -> None:
    both = f"{page()['opt.in']}・{page()['opt.out']}"
    assert both == f"{word('opt', 'in', 'ja')}・{word('opt', 'out', 'ja')}" == glossary()["opt in, opt out"]


def test_page_and_command_line_use_the_same_words_for_codes() -> None:
    families = {
        "health": "health",
        "severity": "severity",
        "kind": "kind",
        "linkstate": "link",
        "state": "state",
    }
    families |= {"opt": "opt", "direction": "direction", "tier": "tier"}
    for name, family in families.items():
        told = {key.partition(".")[2]: said for key, said in page().items() if key.startswith(f"{name}.")}
        assert told
        ours = {code: word(family, code, "ja") for code in told if f"word.{family}.{code}" in WHY}
        assert ours == {code: told[code] for code in ours}, name
        known = {key.rsplit(".", 1)[1] for key in WHY if key.startswith(f"word.{family}.")}
        assert known <= set(told), name


def test_a_code_without_a_word_stays() -> None:
    assert word("link", "odd", "ja") == word("link", "odd", "en") == "odd"
    assert text("alarm.room", "en", room="tso", state="word.link.odd", why="x") == "tso is odd: x."


# --- what parts of the gateway say in English ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "japanese"),
    [
        ("b1: switched to local control at the device", "b1: 機器側で現地操作に切り替えられている"),
        ("10.0.0.5:502: no answer within 0.3 s", "10.0.0.5:502: 0.3 秒以内に応答がなかった"),
        (
            "reading 4 registers at 40071 (beat): exception 6 (busy)",
            "40071 から 4 個の読み取り(beat): 例外 6(処理中)",
        ),
        (
            "power, W, reads 9e+06, expected -60000..60000",
            "電力(W)の値が 9e+06(正しくは -60000〜60000)",
        ),
        (
            "clock: the VTN is 31 s ahead of us, allowed are 5 s; compare time sources",
            "時計: VTN が 31 秒進んでいる(許容 5 秒); 双方の時刻源を確認すること",
        ),
        ("EOFError: the worker ended", "EOFError: ソルバーが終了した"),
        ("outcome unknown: plug-in ended", "結果不明: プラグイン、終了した"),
    ],
)
def test_what_is_said_in_english_is_told_in_japanese(said: str, japanese: str) -> None:
    assert retell(said, "ja") == japanese
    assert retell(said, "en") == said


@pytest.mark.parametrize(
    "said", ["", "[Errno 111] Connection refused", "453 the meter of 東京 is away", "{what} %s", "a: b; c: "]
)
def test_a_peers_own_words_stay_as_they_came(said: str) -> None:
    assert retell(said, "ja") == said


def test_reasons_inside_an_alarm_are_told_in_its_language() -> None:
    values = {
        "device": "b1",
        "site": "tokyo-1",
        "health": "word.health.refusing",
        "why": "the inverter is off",
    }
    assert text("alarm.device", "en", **values) == "b1 at tokyo-1 is refusing: the inverter is off."
    assert text("alarm.device", "ja", **values) == "tokyo-1 の b1: 拒否(インバーターが停止している)。"


@cache
def spoken() -> frozenset[str]:
    """Every clause that the package can say, with {} where a value stands."""
    found: set[str] = set()
    for path in under("vpp_gateway", ".py"):
        if not path.name.startswith("catalogue"):
            for template in templates(path):
                found |= set(re.split("; |: ", template))
    return frozenset(found)


def templates(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


COMPOSED = {"prepare refused": "{} refused", "commit refused": "{} refused"}
"""Clauses of which a part comes from elsewhere."""


@pytest.mark.parametrize("key", sorted(SAID))
def test_every_clause_is_one_that_the_code_says(key: str) -> None:
    """So that a text that changes is changed here too."""
    english = re.sub(r"\{\w+\}", "{}", SAID[key][0])
    assert not re.search("; |: ", english), "a clause ends there"
    assert COMPOSED.get(english, english) in spoken()


def _raised(path: Path) -> Iterator[str]:
    """What a device can be reproached with in that module."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in ("Unreachable", "Rejected", "Implausible", "set") and node.args:
            said = node.args[-1]
            if isinstance(said, ast.JoinedStr):
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "7" for part in said.values
                )
            elif isinstance(said, ast.Constant) and isinstance(said.value, str):
                yield said.value


def test_all_that_a_battery_or_meter_can_be_reproached_with_has_its_japanese() -> None:
    """A sentence without any Japanese in it was forgotten."""
    folder = ROOT / "vpp_gateway" / "southbound" / "modbus"
    said = {one for path in folder.glob("*.py") for one in _raised(path) if " " in one}
    assert len(said) > 20
    assert {one for one in said if not KANA.search(retell(one, "ja"))} == set()
