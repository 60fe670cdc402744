"""The sources of the page: both catalogues whole, and a lock file that builds anywhere."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from tests.repository import ROOT
from tests.unit.console_fake import World
from vpp_gateway.domain.reading import Health

UI = ROOT / "vpp_gateway" / "console" / "ui"
CATALOGUE: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])


@cache
def catalogue(lang: str) -> dict[str, str]:
    return CATALOGUE.validate_json((UI / "src" / "i18n" / f"{lang}.json").read_bytes())


@cache
def sources() -> str:
    files = sorted(path for path in (UI / "src").rglob("*") if path.suffix in (".ts", ".tsx"))
    assert files
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def test_both_languages_are_whole() -> None:
    english, japanese = catalogue("en"), catalogue("ja")
    assert list(english) == list(japanese)
    assert [key for lang in (english, japanese) for key, text in lang.items() if not text.strip()] == []


def test_japanese_is_japanese() -> None:
    same_on_purpose = {"kind.openadr2", "zone.jst", "chart.band"}
    same = {key for key, text in catalogue("ja").items() if text == catalogue("en")[key]}
    assert same == same_on_purpose
    latin_only = {key for key, text in catalogue("ja").items() if not re.search(r"[ぁ-んァ-ヶ一-龠]", text)}
    assert latin_only == same_on_purpose


def test_placeholders_agree() -> None:
    holes = re.compile(r"\{\w+\}")
    for key, text in catalogue("en").items():
        assert sorted(holes.findall(text)) == sorted(holes.findall(catalogue("ja")[key])), key


def test_every_word_is_used_and_every_used_word_exists() -> None:
    named = set(re.findall(r"\bt\(\s*\"([\w.]+)\"", sources()))
    named |= set(re.findall(r"\"([a-z_]+\.[\w.]+)\"", sources())) & set(catalogue("en"))
    families = {prefix for prefix in re.findall(r"`([a-z]+\.)\$\{", sources())}
    assert named <= set(catalogue("en"))
    chosen = set(re.findall(r"\? \"([\w.]+)\" : \"([\w.]+)\"", sources()))
    named |= {word for pair in chosen for word in pair}
    unused = {
        key for key in catalogue("en") if key not in named and f"{key.partition('.')[0]}." not in families
    }
    assert unused == set()


def test_every_state_has_its_word() -> None:
    world = World(1_800_000_000.0)
    words = {f"health.{health}" for health in (*Health, "warning", "bad")}
    words |= {f"tier.{tier}" for tier in world.point(world.begin).by_tier_w}
    assert words <= set(catalogue("en"))


@pytest.mark.parametrize("name", ["package-lock.json", ".npmrc", "package.json"])
def test_nothing_names_a_registry(name: str) -> None:
    text = (UI / name).read_text(encoding="utf-8")
    assert '"resolved"' not in text
    assert "registry=" not in text
    for host in re.findall(r"https?://([^/\"\s]+)", text):
        assert host in ("github.com", "opencollective.com"), host  # whom to thank, never whence to load


def test_lock_file_pins_everything_by_hash() -> None:
    lock = json.loads((UI / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: about for name, about in lock["packages"].items() if name}
    assert packages
    assert [name for name, about in packages.items() if not about["integrity"].startswith("sha512-")] == []
    assert [
        name for name, about in packages.items() if not re.fullmatch(r"\d+\.\d+\.\d+", about["version"])
    ] == []


def test_page_sources_load_nothing_from_elsewhere() -> None:
    for path in (UI / "src" / "index.html", UI / "src" / "app.css"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?:src|href|url\()\s*=?\s*[\"'(]?(?:https?:)?//", text), path
    assert not re.search(r"(?:fetch|EventSource|import)\([\"'`]https?:", sources())
    assert "innerHTML" not in sources() and "dangerouslySetInnerHTML" not in sources()


def test_page_has_no_inline_script_or_style() -> None:
    page = Path(UI / "src" / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script[^>]*>([^<]+)</script>", page) == []
    assert "<style" not in page and "style=" not in page and " on" not in re.sub(r">[^<]*<", "><", page)
