"""Profiles: found by name, in the operator's folders first, and refused with place and hint when wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from vpp_gateway.errors import MisuseError
from vpp_gateway.profile import Profile, list_profiles, load_profile, read_profile, shipped_profiles
from vpp_gateway.settings import Settings
from vpp_gateway.yaml_source import InvalidFile

GOOD = """\
name: mine
source:
  - {document: Manual of the thing, page: "12", date: "2026-01"}
verified: primary
timeout_s: 0.5
"""


class Thing(Profile):
    """A profile of these tests."""

    name: str
    timeout_s: float


def own(folder: Path, content: str, name: str = "mine") -> tuple[Path, ...]:
    (folder / "devices").mkdir(exist_ok=True)
    (folder / "devices" / f"{name}.yaml").write_text(content, "utf-8")
    return (folder,)


def test_an_own_profile_is_loaded(tmp_path: Path) -> None:
    thing = load_profile("devices", "mine", Thing, own(tmp_path, GOOD))
    assert (thing.timeout_s, thing.verified, thing.source[0].page) == (0.5, "primary", "12")


def test_own_profiles_stand_before_shipped_ones(tmp_path: Path) -> None:
    shipped = list_profiles("devices")
    assert "sunspec-meter" in shipped
    search = own(tmp_path, GOOD.replace("name: mine", "name: sunspec-meter"), "sunspec-meter")
    assert list_profiles("devices", search) == shipped
    assert load_profile("devices", "sunspec-meter", Thing, search).timeout_s == 0.5


def test_an_unknown_name_is_refused_with_what_was_meant(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile) as caught:
        load_profile("devices", "mien", Thing, own(tmp_path, GOOD))
    said = str(caught.value)
    assert said.startswith("profiles/devices/mien.yaml: there is no devices profile 'mien'; allowed: ")
    assert ", mine, " in said
    assert said.endswith("did you mean 'mine'?")


@pytest.mark.parametrize("name", ["../sites/x", "/etc/passwd", "a/b", "", ".hidden"])
def test_a_name_is_not_a_path(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="is not a profile name"):
        load_profile("devices", name, Thing, own(tmp_path, GOOD))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("verified: primary\n", "", "mine.yaml:1:1: verified: is missing"),
        ("verified: primary", "verified: sure", "mine.yaml:4:11: verified: is 'sure'; allowed: primary, secondary"),
        ("source:\n  - {document: Manual of the thing, page: \"12\", date: \"2026-01\"}\n", "", "source: is missing"),
        ("document: Manual of the thing", 'document: ""', "mine.yaml:3:16: source[0].document: is ''; at least 1"),
        ("timeout_s: 0.5", "timeout_s: soon", "mine.yaml:5:12: timeout_s: is 'soon'; allowed: a number"),
        ("timeout_s: 0.5", "timout_s: 0.5", "mine.yaml:5:1: timout_s: unknown key"),
        ("name: mine", "name: yours", "mine.yaml:1:7: name: is 'yours', but the file is called mine.yaml"),
    ],
)  # fmt: skip
def test_mistakes_have_their_place(old: str, new: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidFile) as caught:
        load_profile("devices", "mine", Thing, own(tmp_path, GOOD.replace(old, new)))
    assert len(caught.value.problems) == 1
    assert said in str(caught.value)


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    content = GOOD.replace("primary", "sure").replace("0.5", "soon").replace("name: mine", "name: yours")
    with pytest.raises(InvalidFile) as caught:
        load_profile("devices", "mine", Thing, own(tmp_path, content))
    assert [problem.key for problem in caught.value.problems] == ["name", "verified", "timeout_s"]


def test_a_model_without_source_is_our_mistake() -> None:
    class Bare(BaseModel):
        name: str

    with pytest.raises(MisuseError, match="Bare cannot be a profile"):
        load_profile("devices", "sunspec-meter", Bare)


def test_every_shipped_profile_says_where_it_comes_from() -> None:
    seen = 0
    for kind in ("devices", "products", "programs", "sites"):
        for name in list_profiles(kind):
            plain = read_profile(kind, name).plain
            assert plain.get("source"), name
            assert plain.get("verified") in ("primary", "secondary", "unverified"), name
            seen += 1
    assert seen >= 5


def test_the_example_site_loads_as_a_profile() -> None:
    settings = load_profile("sites", "trial-three-areas", Settings)
    assert settings.gateway.simulated
    assert settings.verified == "unverified"


def test_profiles_are_shipped() -> None:
    assert shipped_profiles().is_dir()
    assert list_profiles("sites") == ("trial-three-areas",)
