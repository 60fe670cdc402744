"""The packages: wheel and sdist carry what they must, and the wheel works away from the repository.

Built offline with the tools of this environment. The wheel is installed into an environment of its own, which sees
the dependencies of this one but not the repository.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.repository import ROOT, under

OFFLINE = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "npm_config_offline": "true"}


def run(command: Sequence[str | Path], cwd: Path) -> str:
    """Standard output of `command`, which must succeed, without a way to any registry."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **OFFLINE},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def built(kind: str, folder: Path) -> Path:
    run([sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", folder, ROOT], folder)
    (package,) = folder.iterdir()
    return package


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment with the wheel."""
    home = tmp_path_factory.mktemp("elsewhere")
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    run([sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", wheel], home)
    purelib = Path(
        run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], home).strip()
    )
    shared = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (purelib / "dependencies.pth").write_text("\n".join(sorted(shared)), encoding="utf-8")
    return python.parent


def members(package: Path) -> set[str]:
    """Names of the files, without the folder that an sdist wraps them in."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as archive:
            return set(archive.namelist())
    with tarfile.open(package) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def profiles_as(prefix: str) -> set[str]:
    return {
        prefix + path.relative_to(ROOT / "profiles").as_posix()
        for path in under("profiles", ".yaml", ".yml", ".json")
    }


def test_wheel_carries_the_page_and_the_profiles(wheel: Path) -> None:
    names = members(wheel)
    page = {name.removeprefix("vpp_gateway/console/static/") for name in names if "/console/static/" in name}
    assert "index.html" in page
    assert any(name.endswith(".js") for name in page)
    assert profiles_as("vpp_gateway/_profiles/") <= names
    assert "vpp_gateway/py.typed" in names
    assert any(re.fullmatch(r"vpp_gateway-[^/]+\.dist-info/licenses/LICENSE", name) for name in names)


def test_wheel_carries_nothing_else(wheel: Path) -> None:
    names = members(wheel)
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"vpp_gateway"}
    assert not {name for name in names if "node_modules" in name or name.endswith((".pem", ".key"))}


def test_page_in_the_wheel_asks_nobody_else(wheel: Path) -> None:
    """Everything the page needs comes from the gateway: no script, style or font from another host."""
    with zipfile.ZipFile(wheel) as archive:
        index = archive.read("vpp_gateway/console/static/index.html").decode()
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?:https?:)?//""", index)


def test_sdist_carries_what_its_makefile_needs(sdist: Path) -> None:
    names = members(sdist)
    needed = {"Makefile", "constraints.txt", "hatch_build.py", "pyproject.toml", ".importlinter"}
    assert needed | {"README.md", "LICENSE", "CHANGELOG.md"} <= names
    assert profiles_as("profiles/") <= names
    assert "vpp_gateway/console/static/index.html" in names, "no node is needed to install from the sdist"
    assert "tests/wire/test_package.py" in names
    assert not {name for name in names if "node_modules" in name}


def test_command_runs_from_the_wheel(elsewhere: Path) -> None:
    assert "Usage: vpp-gateway" in run([elsewhere / "vpp-gateway", "--help"], elsewhere)


def test_wheel_finds_its_own_files(elsewhere: Path) -> None:
    code = (
        "from importlib.resources import files\n"
        "import vpp_gateway\n"
        "from vpp_gateway.profile import shipped_profiles\n"
        "print(vpp_gateway.__file__, shipped_profiles())\n"
        "assert (files(vpp_gateway) / 'console' / 'static' / 'index.html').is_file()\n"
    )
    module, profiles = run([elsewhere / "python", "-c", code], elsewhere).split()
    assert Path(module).is_relative_to(elsewhere.parent)
    assert Path(profiles).is_relative_to(elsewhere.parent)
    assert {path.name for path in Path(profiles).rglob("*.yaml")} == {
        path.name for path in under("profiles", ".yaml")
    }
