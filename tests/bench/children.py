"""Programs of this package that run in a process of their own and answer with one line of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile

from tests.repository import ROOT

Answer = dict[str, object]


class ChildFailed(RuntimeError):
    """A child ended without an answer; the text holds what it said."""


def environment(**more: str) -> dict[str, str]:
    """This environment, with the repository importable."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **more}


def command(module: str, *arguments: object) -> list[str]:
    """How to start `tests.bench.<module>` under this interpreter."""
    return [sys.executable, "-m", f"tests.bench.{module}", *map(str, arguments)]


class Child:
    """One program that runs until it has answered."""

    def __init__(self, module: str, *arguments: object, env: Mapping[str, str] | None = None) -> None:
        self._name = f"{module} {' '.join(map(str, arguments))}"
        self._said = TemporaryFile()  # noqa: SIM115  # closed with the answer
        self._process = subprocess.Popen(
            command(module, *arguments),
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=environment(**(env or {})),
            cwd=ROOT,
        )

    def answer(self, timeout_s: float = 600.0) -> Answer:
        """Wait for the last line of its output.

        Raises:
            ChildFailed: it failed or took too long.
        """
        try:
            output, _ = self._process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise ChildFailed(f"{self._name}: no answer within {timeout_s:g} s") from None
        self._said.seek(0)
        said = self._said.read().decode(errors="replace")
        self._said.close()
        if self._process.returncode:
            raise ChildFailed(f"{self._name}: exit code {self._process.returncode}\n{said[-4000:]}")
        answer = json.loads(output.splitlines()[-1])
        assert isinstance(answer, dict)
        return answer


def number(answer: Answer, key: str) -> float:
    """A number of an answer."""
    value = answer[key]
    assert isinstance(value, int | float), f"{key} is {value!r}"
    return float(value)


def pin(core: int | None = None) -> int:
    """Keep this process on one core (by default the last that it may use); returns which."""
    chosen = max(os.sched_getaffinity(0)) if core is None else core
    os.sched_setaffinity(0, {chosen})
    return chosen


def load_file(path: Path) -> Answer:
    """A JSON object from a file."""
    value = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value
