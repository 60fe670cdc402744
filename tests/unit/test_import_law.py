"""The dependency law bites: for each contract of `.importlinter` a breach is planted and must be found.

The package is copied to a temporary folder, one line is added to one module, and `lint-imports` runs there with
the repository's own configuration. Contracts that are broken before the planting are left out of the comparison:
they fail `make lint` under their own name.
"""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(sys.executable).parent
VERDICT = re.compile(r"^(?P<name>.+?) (?P<verdict>KEPT|BROKEN)\b", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """One forbidden line and the contracts that it must break."""

    module: str
    """Path under the package; made when missing."""
    line: str
    breaks: frozenset[str]
    """Contract ids of `.importlinter`."""
    beside: tuple[str, ...] = ()
    """Modules that the line needs, made empty when missing."""


def breach(module: str, line: str, *breaks: str, beside: tuple[str, ...] = ()) -> Breach:
    return Breach(module=module, line=line, breaks=frozenset(breaks), beside=beside)


BREACHES = (
    breach("optimise/planted.py", "import vpp_gateway.dispatch", "centre"),
    breach("journal/planted.py", "import vpp_gateway.link", "centre", "site"),
    breach("portfolio/planted.py", "import vpp_gateway.metering", "centre"),
    breach("domain/planted.py", "import vpp_gateway.settings", "centre", "site", beside=("settings.py",)),
    breach("planted.py", "", "centre"),
    breach("link/planted.py", "import vpp_gateway.site", "site"),
    breach("site/planted.py", "import scipy", "agent-is-lean"),
    breach("site/planted.py", "import vpp_gateway.optimise", "agent-is-lean"),
    breach("southbound/workload/planted.py", "import vpp_gateway.portfolio", "agent-is-lean"),
    breach("console/planted.py", "import pymodbus", "centre-owns-no-device"),
    breach("console/planted.py", "import vpp_gateway.southbound.modbus", "centre-owns-no-device"),
    breach(
        "northbound/openadr3/planted.py",
        "import vpp_gateway.northbound.openadr2",
        "northbound-rooms",
        beside=("northbound/openadr3/__init__.py",),
    ),
    breach("northbound/planted/__init__.py", "", "northbound-rooms"),
    breach(
        "southbound/modbus/planted.py",
        "import vpp_gateway.southbound.workload",
        "southbound-rooms",
    ),
    breach(
        "northbound/openadr3/wire.py",
        "import vpp_gateway.northbound.openadr3.session",
        "inside-a-room",
        beside=("northbound/openadr3/__init__.py", "northbound/openadr3/session.py"),
    ),
    breach(
        "southbound/ieee2030_5/session.py",
        "import vpp_gateway.southbound.ieee2030_5.client",
        "inside-a-room",
        beside=("southbound/ieee2030_5/__init__.py", "southbound/ieee2030_5/client.py"),
    ),
    breach("domain/planted.py", "import time", "purity"),
    breach("codec/planted.py", "import asyncio", "purity"),
    breach("metering/planted.py", "import sqlite3", "purity"),
    breach("dispatch/planted.py", "import aiohttp", "purity"),
    breach("portfolio/planted.py", "from ssl import SSLContext", "purity"),
    breach("gateway.py", "import socket", "purity"),
    breach(
        "northbound/openadr3/session.py",
        "import asyncio",
        "purity",
        beside=("northbound/openadr3/__init__.py",),
    ),
    breach("cli/planted.py", "import vpp_gateway.sim", "sim-is-the-outside"),
    breach("link/planted.py", "from openleadr import enums", "openleadr-is-a-peer"),
    breach("cli/planted.py", "import tests.unit", "no-tests"),
)


def contract_names() -> dict[str, str]:
    """Contract id -> name, from the configuration."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter", encoding="utf-8")
    prefix = "importlinter:contract:"
    return {
        section.removeprefix(prefix): parser[section]["name"]
        for section in parser.sections()
        if section.startswith(prefix)
    }


def copy_package(into: Path) -> Path:
    """The package's Python files and the configuration, alone in a folder."""
    shutil.copytree(
        ROOT / "vpp_gateway",
        into / "vpp_gateway",
        ignore=lambda folder, names: {
            name
            for name in names
            if name in {"__pycache__", "static", "ui"}
            or (not name.endswith(".py") and not (Path(folder) / name).is_dir())
        },
    )
    for config in (".importlinter", "pyproject.toml"):
        shutil.copy(ROOT / config, into / config)
    return into


def broken_contracts(folder: Path) -> set[str]:
    """Ids of the contracts that `lint-imports` calls broken in `folder`."""
    run = subprocess.run(
        [SCRIPTS / "lint-imports", "--no-cache", "--no-logo"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    verdicts = {match["name"]: match["verdict"] for match in VERDICT.finditer(run.stdout)}
    ids = {name: id for id, name in contract_names().items()}
    assert verdicts.keys() == ids.keys(), f"not every contract was judged:\n{run.stdout}\n{run.stderr}"
    broken = {ids[name] for name, verdict in verdicts.items() if verdict == "BROKEN"}
    assert (run.returncode != 0) == bool(broken), "the exit status must tell a broken contract"
    return broken


@pytest.fixture(scope="module")
def broken_before(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    return broken_contracts(copy_package(tmp_path_factory.mktemp("untouched")))


def test_every_contract_has_a_planted_breach() -> None:
    assert contract_names().keys() == frozenset().union(*(each.breaks for each in BREACHES))


@pytest.mark.parametrize("case", BREACHES, ids=lambda case: f"{case.module}: {case.line or 'unplaced'}")
def test_planted_breach_breaks_its_contract_alone(
    case: Breach, tmp_path: Path, broken_before: set[str]
) -> None:
    folder = copy_package(tmp_path)
    for name in (*case.beside, case.module):
        module = folder / "vpp_gateway" / name
        module.parent.mkdir(parents=True, exist_ok=True)
        module.touch()
    module = folder / "vpp_gateway" / case.module
    module.write_text(f"{module.read_text(encoding='utf-8')}\n{case.line}\n", encoding="utf-8")

    assert broken_contracts(folder) - broken_before == case.breaks - broken_before


BANNED = {
    "datetime.datetime.now": "import datetime\nx = datetime.datetime.now(datetime.UTC)",
    "datetime.datetime.utcnow": "from datetime import datetime\nx = datetime.utcnow()",
    "time.time": "import time\nx = time.time()",
    "time.monotonic": "from time import monotonic\nx = monotonic()",
    "uuid.uuid4": "import uuid\nx = uuid.uuid4()",
    "random.random": "import random\nx = random.random()",
    "random.uniform": "import random\nx = random.uniform(0, 1)",
    "random.choice": "import random\nx = random.choice([1])",
    "os.urandom": "import os\nx = os.urandom(8)",
    "asyncio.create_task": "import asyncio\nx = asyncio.create_task",
    "asyncio.ensure_future": "from asyncio import ensure_future\nx = ensure_future",
}


def ruff(source: str, folder: Path, filename: str) -> str:
    """What ruff says, with the repository's rules, about `source` at `filename`."""
    run = subprocess.run(
        [
            SCRIPTS / "ruff",
            "check",
            "--no-cache",
            "--output-format",
            "concise",
            "--stdin-filename",
            filename,
            "-",
        ],
        input=source,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode in (0, 1), run.stderr
    return run.stdout


def test_every_ban_of_the_configuration_is_tried() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    banned = config["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]
    assert set(banned) <= BANNED.keys(), "a new ban needs a planted breach here"
    assert all(rule["msg"] for rule in banned.values()), "each ban says what to use instead"


@pytest.mark.parametrize("api", BANNED)
def test_banned_api_is_refused_outside_the_clock(api: str) -> None:
    source = BANNED[api] + "\n"
    assert f"TID251 `{api}` is banned" in ruff(source, ROOT, "vpp_gateway/planted.py")
    assert "TID251" not in ruff(source, ROOT, "vpp_gateway/clock.py"), "clock.py is the one seam"


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("try:\n    x = 1\nexcept Exception:\n    x = 2\n", "BLE001"),
        ("try:\n    x = 1\nexcept ValueError:\n    pass\n", "SIM105"),
        ("import asyncio\nimport time\n\n\nasync def f() -> None:\n    time.sleep(1)\n", "ASYNC251"),
        ("import datetime\nx = datetime.datetime(2025, 4, 1)\n", "DTZ001"),
    ],
)
def test_ruff_refuses(source: str, rule: str) -> None:
    assert rule in ruff(source, ROOT, "vpp_gateway/planted.py")


def test_mypy_is_strict(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(
        "import json\n"
        "def untyped(x):\n    return x\n"
        "def bare() -> list:\n    return []\n"
        "def leaked() -> int:\n    return json.loads('1')\n"
        "def wrong() -> int:\n    return 'one'\n",
        encoding="utf-8",
    )
    run = subprocess.run(
        [
            SCRIPTS / "mypy",
            "--config-file",
            ROOT / "pyproject.toml",
            "--cache-dir",
            tmp_path / "cache",
            planted,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 1, run.stderr
    for code in ("no-untyped-def", "type-arg", "no-any-return", "return-value"):
        assert f"[{code}]" in run.stdout, run.stdout
