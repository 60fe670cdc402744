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
    families = set(re.findall(r"`([a-z]+\.)\$\{", sources()))
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


Scheme = dict[str, str]


def schemes() -> dict[str, Scheme]:
    """The colours of the light and the dark scheme."""
    light, dark = (
        (UI / "src" / "app.css").read_text(encoding="utf-8").split("@media (prefers-color-scheme: dark)")
    )
    colour = re.compile(r"--([\w-]+): (#[0-9a-f]{6});")
    first = dict(colour.findall(light))
    return {"light": first, "dark": {**first, **dict(colour.findall(dark))}}


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    shares = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        ("ink", "card"),
        ("ink", "page"),
        ("muted", "card"),
        ("muted", "page"),
        ("muted", "raised"),
        ("muted", "bad-tint"),
        ("muted", "warning-tint"),
        ("ink", "bad-tint"),
        ("ink", "warning-tint"),
        ("good", "good-tint"),
        ("bad", "bad-tint"),
        ("bad", "card"),
        ("warning", "warning-tint"),
        ("warning", "card"),
        ("accent", "accent-tint"),
        ("accent", "card"),
    ],
)
def test_text_can_be_read(scheme: str, text: str, ground: str) -> None:
    colours = schemes()[scheme]
    assert contrast(colours[text], colours[ground]) >= 4.5  # WCAG 2.2, 1.4.3 (AA)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("line", ["measured", "order", "baseline", "tier-0", "site-0", "site-2"])
def test_lines_can_be_seen(scheme: str, line: str) -> None:
    colours = schemes()[scheme]
    assert contrast(colours[line], colours["card"]) >= 3.0  # WCAG 2.2, 1.4.11
