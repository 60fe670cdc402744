"""The build hook: builds once, knows when it must again, and says what is missing. A toy npm stands for the real one."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.repository import ROOT

pytest.importorskip("hatchling")

NPM = """#!/bin/sh
echo "$@" >> calls
[ -f broken ] && { echo "src/main.tsx(3,1): error TS2304"; exit 2; }
[ "$1" = run ] && mkdir -p ../static && echo page > ../static/index.html
exit 0
"""


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["hatch_build"] = module
    spec.loader.exec_module(module)
    return module


hook = load()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree with a page of two files."""
    sources = tmp_path / "tree" / "vpp_gateway" / "console" / "ui" / "src"
    sources.mkdir(parents=True)
    (sources / "main.tsx").write_text("one", encoding="utf-8")
    (sources.parent / "package.json").write_text("{}", encoding="utf-8")
    return tmp_path / "tree"


def tool(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(script, encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A search path with the toy npm, node 18 and a shell alone."""
    folder = tmp_path / "bin"
    tool(folder, "node", "#!/bin/sh\necho v18.13.0\n")
    tool(folder, "npm", NPM)
    for name in ("sh", "mkdir"):
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def calls(tree: Path) -> list[str]:
    said = tree / hook.UI / "calls"
    lines = said.read_text(encoding="utf-8").splitlines() if said.exists() else []
    said.unlink(missing_ok=True)
    return lines


def test_builds_when_there_is_no_page_and_not_again(tree: Path, tools: Path) -> None:
    assert hook.build_page(tree)
    assert calls(tree) == ["ci", "run build"]
    (tree / hook.STATIC / hook.FINGERPRINT).write_text(hook.fingerprint(tree / hook.UI), encoding="ascii")
    assert not hook.build_page(tree)
    assert calls(tree) == []


def test_builds_again_after_a_change_whatever_the_file_times(tree: Path, tools: Path) -> None:
    hook.build_page(tree)
    calls(tree)
    source = tree / hook.UI / "src" / "main.tsx"
    source.write_text("two", encoding="utf-8")
    os.utime(source, (0, 0))
    assert hook.build_page(tree)


def test_installed_packages_do_not_count_as_sources(tree: Path) -> None:
    before = hook.fingerprint(tree / hook.UI)
    (tree / hook.UI / "node_modules").mkdir()
    (tree / hook.UI / "node_modules" / "x.js").write_text("x", encoding="utf-8")
    assert hook.fingerprint(tree / hook.UI) == before


def test_page_that_came_with_the_archive_needs_no_node(
    tree: Path, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook.build_page(tree)
    calls(tree)
    (tree / hook.STATIC / hook.FINGERPRINT).write_text(hook.fingerprint(tree / hook.UI), encoding="ascii")
    monkeypatch.setenv("PATH", "")
    assert not hook.build_page(tree)


@pytest.mark.parametrize(
    ("missing", "found"), [(("node", "npm"), "node and npm not found"), (("npm",), "npm not found")]
)
def test_without_node_it_says_what_to_install(
    tree: Path, tools: Path, missing: tuple[str, ...], found: str
) -> None:
    for name in missing:
        (tools / name).unlink()
    with pytest.raises(hook.PageError, match=found) as failure:
        hook.build_page(tree)
    assert "apt-get install nodejs npm" in str(failure.value)


def test_old_node_is_refused(tree: Path, tools: Path) -> None:
    tool(tools, "node", "#!/bin/sh\necho v16.20.2\n")
    with pytest.raises(hook.PageError, match=r"needs Node 18 or newer .* is v16\.20\.2"):
        hook.build_page(tree)
    assert calls(tree) == []


def test_failed_build_shows_the_compiler_and_leaves_no_fingerprint(tree: Path, tools: Path) -> None:
    (tree / hook.UI / "broken").touch()
    with pytest.raises(hook.PageError, match=r"`npm ci` failed .*exit 2.*\n.*error TS2304"):
        hook.build_page(tree)
    assert not (tree / hook.STATIC / hook.FINGERPRINT).exists()
