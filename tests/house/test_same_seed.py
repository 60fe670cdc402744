"""A seed gives the same day again: facts, commands and register writes, in another process with another hash seed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]


def day(folder: Path, seed: int, hash_seed: str) -> subprocess.Popen[str]:
    folder.mkdir()
    command = [sys.executable, "-m", "tests.house.same_seed_day", str(folder), str(seed)]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    return subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def result(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors[-3000:]
    return dict(json.loads(out.splitlines()[-1]))


def test_a_seed_gives_the_same_day_again_and_another_seed_another(tmp_path: Path) -> None:
    runs = [
        day(tmp_path / name, seed, hashes)
        for name, seed, hashes in (("a", 7, "1"), ("b", 7, "4242"), ("c", 8, "1"))
    ]
    first, again, other = (result(process) for process in runs)
    assert first["states"] == ["completed", "completed"]
    assert min(first[kind] for kind in ("fact", "command", "write")) > 50, "the trace is full"
    different = [pair for pair in zip(first["trace"], again["trace"], strict=True) if pair[0] != pair[1]]
    assert not different, "first difference:\n" + "\n".join(different[0])
    assert again["digest"] == first["digest"]
    assert other["digest"] != first["digest"]
    assert other["states"] == first["states"]
