"""The brake of the process lever that is a cgroup, on plain folders: what it writes where, for both versions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from vpp_gateway.errors import Rejected
from vpp_gateway.southbound.workload.levers import JobId
from vpp_gateway.southbound.workload.process_lever.brake import GroupBrake
from vpp_gateway.southbound.workload.process_lever.jobs import JobFile
from vpp_gateway.southbound.workload.process_lever.proc import Ident

JOB = JobId("render-7")
WHO = Ident(4711, 99)


def unified(folder: Path) -> Path:
    """A folder laid out like a delegated cgroup of version 2."""
    (folder / "cgroup.controllers").write_text("cpu memory\n")
    (folder / "cgroup.subtree_control").write_text("cpu\n")
    return folder


def older(folder: Path) -> Path:
    """The same of version 1."""
    (folder / "cpu.cfs_quota_us").write_text("-1\n")
    return folder


def test_a_group_of_version_2_gets_quota_and_process(tmp_path: Path) -> None:
    brake = GroupBrake(unified(tmp_path))
    brake.hold(JOB, WHO, 0.5)
    group = tmp_path / "job-render-7"
    assert (group / "cpu.max").read_text() == "50000 100000"
    assert (group / "cgroup.procs").read_text() == "4711"
    assert brake.released(JOB)
    assert (group / "cpu.max").read_text() == "max 100000"


def test_a_group_of_version_1_gets_quota_and_process(tmp_path: Path) -> None:
    brake = GroupBrake(older(tmp_path))
    brake.hold(JOB, WHO, 0.5)
    group = tmp_path / "job-render-7"
    assert (group / "cpu.cfs_quota_us").read_text() == "50000"
    assert (group / "cpu.cfs_period_us").read_text() == "100000"
    assert (group / "cgroup.procs").read_text() == "4711"
    assert brake.released(JOB)
    assert (group / "cpu.cfs_quota_us").read_text() == "-1"


def test_a_small_share_takes_a_longer_period_and_one_too_small_is_refused(tmp_path: Path) -> None:
    brake = GroupBrake(unified(tmp_path))
    brake.hold(JOB, WHO, 0.004)
    assert (tmp_path / "job-render-7" / "cpu.max").read_text() == "4000 1000000"
    with pytest.raises(Rejected, match=r"0\.0004 core is less"):
        brake.hold(JOB, WHO, 0.0004)


def test_the_next_life_lifts_what_it_never_held_and_what_is_no_longer_wanted(tmp_path: Path) -> None:
    GroupBrake(unified(tmp_path)).hold(JOB, WHO, 0.5)
    limit = tmp_path / "job-render-7" / "cpu.max"
    assert GroupBrake(tmp_path).released(JOB)
    assert limit.read_text().startswith("max")
    brake = GroupBrake(tmp_path)
    brake.hold(JOB, WHO, 0.5)
    brake.keep_only({JOB})
    assert limit.read_text().startswith("50000")
    brake.keep_only(())
    assert limit.read_text().startswith("max")
    assert brake.released(JobId("never-held"))


def test_a_quota_that_an_earlier_life_left_is_lifted_by_the_first_look(tmp_path: Path) -> None:
    GroupBrake(unified(tmp_path)).hold(JOB, WHO, 0.5)
    kept = JobId("kept")
    GroupBrake(tmp_path).hold(kept, WHO, 0.5)
    assert GroupBrake(tmp_path).keep_only({kept}) == {}
    assert (tmp_path / "job-render-7" / "cpu.max").read_text() == "max 100000"
    assert (tmp_path / "job-kept" / "cpu.max").read_text() == "50000 100000"


@pytest.mark.parametrize("version", [unified, older])
def test_what_somebody_else_changed_is_set_again(tmp_path: Path, version: Callable[[Path], Path]) -> None:
    brake = GroupBrake(version(tmp_path))
    brake.hold(JOB, WHO, 0.5)
    group = tmp_path / "job-render-7"
    before = {path.name: path.read_text() for path in group.iterdir()}
    for name in before:
        (group / name).write_text("max 100000" if name == "cpu.max" else "-1")
    brake.hold(JOB, WHO, 0.5)
    assert {path.name: path.read_text() for path in group.iterdir()} == before


def test_a_group_that_is_empty_is_removed_and_one_that_is_not_stays(tmp_path: Path) -> None:
    brake = GroupBrake(unified(tmp_path))
    brake.hold(JOB, WHO, 0.5)
    group = tmp_path / "job-render-7"
    brake.keep_only(())
    assert group.exists()  # here its files are in it, there the job
    for path in group.iterdir():
        path.unlink()
    brake.keep_only(())
    assert not group.exists()


def test_one_quota_that_cannot_be_lifted_is_named_and_the_others_are_lifted(tmp_path: Path) -> None:
    brake = GroupBrake(unified(tmp_path))
    other = JobId("other")
    for job in (JOB, other):
        brake.hold(job, WHO, 0.5)
    limit = tmp_path / "job-render-7" / "cpu.max"
    limit.unlink()
    limit.mkdir()
    stuck = brake.keep_only(())
    assert list(stuck) == [JOB]
    assert "cannot be lifted" in stuck[JOB]
    assert (tmp_path / "job-other" / "cpu.max").read_text() == "max 100000"
    limit.rmdir()
    assert brake.keep_only(()) == {}
    assert limit.read_text() == "max 100000"


def test_what_is_no_cgroup_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="is no cgroup with the CPU controller"):
        GroupBrake(tmp_path)
    unified(tmp_path)
    (tmp_path / "cgroup.subtree_control").write_text("memory\n")
    with pytest.raises(Rejected, match=r"write \+cpu to cgroup.subtree_control"):
        GroupBrake(tmp_path)


def test_a_throttlable_job_declares_its_duty() -> None:
    fields = {"job": "a", "declared_w": 5.0, "argv": ["/bin/true"], "throttlable": True}
    with pytest.raises(ValidationError, match="throttlable needs duty"):
        JobFile.model_validate_json(json.dumps(fields))
    assert JobFile.model_validate_json(json.dumps({**fields, "duty": 0.5})).throttlable
