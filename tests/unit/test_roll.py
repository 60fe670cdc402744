"""The process lever's list of jobs: a bad file costs its own job only, and is told once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.errors import ConfigError
from vpp_gateway.southbound.workload.levers import JobId
from vpp_gateway.southbound.workload.process_lever.jobs import JOB_FILE, RUN_FILE, Roll, folders

SITE = SiteId("tokyo-1")
GOOD = {"declared_w": 5000.0, "argv": ["/bin/true"]}


def add(root: Path, name: str) -> Path:
    folder = root / SITE / name
    folder.mkdir(parents=True)
    (folder / JOB_FILE).write_text(json.dumps({"job": name, **GOOD}))
    return folder


def called(roll: Roll) -> dict[str, bool]:
    """Jobs by name, and whether they are sound."""
    return {folder.job.job: folder.sound for folder in roll.call()}


@pytest.mark.parametrize(
    "bad",
    [b"{", b"\xff\xfe", json.dumps({"job": "a", **GOOD, "declared_w": -1}).encode(), b'{"job": "elsewhere"}'],
    ids=["half written", "no text", "a wrong value", "another's"],
)
def test_a_job_whose_file_turned_bad_is_known_as_it_was_and_told_once(tmp_path: Path, bad: bytes) -> None:
    path = add(tmp_path, "a") / JOB_FILE
    add(tmp_path, "b")
    roll, good = Roll(tmp_path, [SITE]), path.read_bytes()
    assert called(roll) == {"a": True, "b": True}
    path.write_bytes(bad)
    with capture_logs() as told:
        for _ in range(3):
            assert called(roll) == {"a": False, "b": True}
        found = roll.find(JobId("a"))
        assert found is not None
        assert found.job.declared_w == 5000.0
        path.write_bytes(good)
        for _ in range(3):
            assert called(roll) == {"a": True, "b": True}
    assert [(line["event"], line["job"]) for line in told] == [
        ("job not offered", "a"),
        ("job good again", "a"),
    ]
    assert str(path) in told[0]["reason"]


def test_a_job_that_never_was_good_is_left_out(tmp_path: Path) -> None:
    path = add(tmp_path, "a") / JOB_FILE
    add(tmp_path, "b")
    path.write_text("{}")
    roll = Roll(tmp_path, [SITE])
    assert called(roll) == {"b": True}
    with pytest.raises(ConfigError, match=r"a/job\.json: job: Field required"):
        roll.find(JobId("a"))
    assert roll.find(JobId("nobody")) is None
    with pytest.raises(ConfigError, match=r"a/job\.json"):
        list(folders(tmp_path, [SITE]))


def test_a_job_whose_run_file_is_bad_is_left_out(tmp_path: Path) -> None:
    (add(tmp_path, "a") / RUN_FILE).write_text('{"state": "dancing"}')
    add(tmp_path, "b")
    assert called(Roll(tmp_path, [SITE])) == {"b": True}


def test_a_job_file_that_cannot_be_read_is_a_bad_one(tmp_path: Path) -> None:
    path = add(tmp_path, "a") / JOB_FILE
    path.unlink()
    path.mkdir()
    add(tmp_path, "b")
    assert called(Roll(tmp_path, [SITE])) == {"b": True}
