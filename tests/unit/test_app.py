"""The composition root: one supervisor per state folder, secrets made once and closed."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from vpp_gateway.app import SECRET_NAME, _only_supervisor, prepare_state
from vpp_gateway.errors import ConfigError
from vpp_gateway.settings import Settings


def settings(folder: Path) -> Settings:
    meter = {"id": "m1", "profile": "sunspec-meter", "host": "127.0.0.1"}
    site = {"id": "a", "name": "A", "name_ja": "A", "area": "x", "import_max_kw": 1.0, "export_max_kw": 0.0}
    return Settings.model_validate(
        {"gateway": {"name": "t", "state_dir": folder}, "sites": [{**site, "meter": meter}]}
    )


def test_the_secret_is_made_once_and_closed(tmp_path: Path) -> None:
    one = settings(tmp_path / "state")
    secret = prepare_state(one)
    assert len(secret) == 64 and prepare_state(one) == secret
    assert stat.S_IMODE((tmp_path / "state" / SECRET_NAME).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_a_second_supervisor_refuses_to_start(tmp_path: Path) -> None:
    one = settings(tmp_path)
    with _only_supervisor(one), pytest.raises(ConfigError, match="another `vpp-gateway run`"):
        _only_supervisor(one)
    _only_supervisor(one).close()


def test_an_empty_secret_is_named_and_not_waited_for(tmp_path: Path) -> None:
    one = settings(tmp_path)
    (tmp_path / SECRET_NAME).touch()
    with pytest.raises(ConfigError, match=r"link\.secret: expected a secret"):
        prepare_state(one)


def test_an_open_state_folder_is_closed(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    prepare_state(settings(tmp_path / "state"))
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert [path.name for path in (tmp_path / "state").iterdir()] == [SECRET_NAME]


def test_a_child_whose_supervisor_is_gone_does_not_begin() -> None:
    command = (sys.executable, "-m", "vpp_gateway.app", "centre", "nonesuch.yaml", "--parent", "999999999")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode != 0
    assert "is gone already" in done.stderr
