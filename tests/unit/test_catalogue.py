"""Every text exists in both languages, with the same placeholders, and every text that is used exists."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from string import Formatter

import pytest

import vpp_gateway
from vpp_gateway.catalogue import LANGS, TEXTS, Told, text
from vpp_gateway.catalogue_texts import TEXTS as COMMAND_TEXTS
from vpp_gateway.errors import MisuseError

PACKAGE = Path(vpp_gateway.__file__).parent
SAME_IN_BOTH = {"MW", "SoC", "LFDI", "SFDI", "DR", "±10 %"}


def placeholders(said: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(said) if name is not None}


@pytest.mark.parametrize("key", sorted(TEXTS))
def test_both_languages_say_the_same(key: str) -> None:
    english, japanese = TEXTS[key]
    assert english.strip() and japanese.strip()
    assert placeholders(english) == placeholders(japanese)


@pytest.mark.parametrize("key", sorted(TEXTS))
def test_japanese_is_japanese(key: str) -> None:
    _, japanese = TEXTS[key]
    words = re.sub(r"\{\w+\}|v\{\w+\}", "", japanese).strip()
    if re.search(r"[A-Za-z]", words) and words not in SAME_IN_BOTH:
        assert re.search(r"[ぁ-んァ-ヶ一-龠]", words), japanese


def test_all_texts_that_the_code_names_exist() -> None:
    named: set[str] = set()
    for file in (PACKAGE / "cli", PACKAGE / "identity"):
        for module in file.glob("*.py"):
            named |= set(
                re.findall(
                    r'"((?:status|events|cli|config|identity)\.[a-z_.]+[a-z_])"', module.read_text("utf-8")
                )
            )
    for module in PACKAGE.glob("*.py"):
        if module.name != "catalogue_texts.py":
            named |= set(re.findall(r'"((?:problem|found)\.[a-z_.]+[a-z_])"', module.read_text("utf-8")))
    assert len(named) > 60
    assert named - set(TEXTS) == set()


def test_no_text_is_unused() -> None:
    code = "".join(
        module.read_text("utf-8") for module in PACKAGE.rglob("*.py") if module.name != "catalogue_texts.py"
    )
    composed = (
        "status.heading.",
        "status.column.",
        "events.row.",
        "events.stage.",
        "events.direction.",
        "identity.",
    )
    unused = [
        key
        for key in COMMAND_TEXTS
        if not re.search(rf"""["']{re.escape(key)}["']""", code)
        and not (key.startswith(composed) and f'"{key.rsplit(".", 1)[-1]}"' in code)
    ]
    assert unused == []


def test_values_that_are_words_follow_the_language() -> None:
    assert text("problem.type.text", "en", found="found.nothing") == "is empty; allowed: text"
    assert text("problem.type.text", "ja", found="found.nothing") == "空 です。文字列を書いてください"


def test_a_missing_text_or_value_is_our_mistake() -> None:
    with pytest.raises(MisuseError, match=r"no text 'problem\.nonsense'"):
        text("problem.nonsense", "en")
    with pytest.raises(MisuseError, match="needs a value for 'found'"):
        text("problem.range", "en", allowed="> 0")


def test_told_speaks_both_languages() -> None:
    told = Told("events.unknown", found="tso/EV-9", known="tso/EV-1")
    assert str(told) == told.say("en") == "there is no event 'tso/EV-9'; known: tso/EV-1"
    assert [told.say(lang) for lang in LANGS][1] == "イベント 'tso/EV-9' はありません。あるもの: tso/EV-1"


def test_no_key_has_two_texts() -> None:
    """The later table would hide the earlier one, and nobody would see it."""
    said: dict[str, set[object]] = {}
    for name in sorted(path.stem for path in PACKAGE.glob("catalogue_*.py")):
        tables = vars(import_module(f"vpp_gateway.{name}")).values()
        for key, pair in ((k, v) for table in tables if isinstance(table, dict) for k, v in table.items()):
            if key in TEXTS:
                said.setdefault(key, set()).add(pair)
    assert said.keys() == TEXTS.keys()
    assert {key: pairs for key, pairs in said.items() if len(pairs) > 1} == {}
