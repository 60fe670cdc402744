"""House rules of the code that ruff, mypy and import-linter do not know: docs/architecture.md says why."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.repository import ROOT, shown, under

LINES_MAX = 400
GENERATED_TABLES: frozenset[str] = frozenset()
"""Files that a script writes; they may be long."""

BROAD_CATCHERS = {
    "vpp_gateway/engine.py": "ends in a fact and a visible state",
    "vpp_gateway/northbound/openadr2/listener.py": "a posted body is foreign; ends in HTTP 400 and a count",
    "vpp_gateway/sim/loop.py": "stands for an executor, whose future carries the exception",
    "vpp_gateway/southbound/workload/host.py": "a plug-in is foreign code; ends in a fact",
    "vpp_gateway/southbound/workload/memory.py": "stands for the plug-in's process; ends in its epitaph",
    "vpp_gateway/southbound/workload/serve.py": "a plug-in is foreign code; ends in a reply",
}
"""Where `except Exception` may stand, beside the client loops (`client.py`), and why."""

CHANCE_AND_TIME = ("vpp_gateway/clock.py", "vpp_gateway/app.py")
PACKAGE = under("vpp_gateway", ".py")
TESTS = under("tests", ".py")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def dotted(node: ast.AST) -> str:
    """`a.b.c` for a name or attribute chain, "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        parent = dotted(node.value)
        return f"{parent}.{node.attr}" if parent else ""
    return ""


def test_package_is_found() -> None:
    assert ROOT / "vpp_gateway" / "domain" / "instruction.py" in PACKAGE


def test_no_module_is_too_long() -> None:
    sources = under("vpp_gateway", ".py", ".ts", ".tsx")
    lengths = {shown(path): len(path.read_text(encoding="utf-8").splitlines()) for path in sources}
    long = {
        name: lines for name, lines in lengths.items() if lines > LINES_MAX and name not in GENERATED_TABLES
    }
    assert not long, f"which two thoughts does each hold? {long}"


def undocumented(path: Path, explained: frozenset[str]) -> Iterator[str]:
    """Public names of a module that say nothing about themselves.

    A method may stay silent when a documented one of its name exists (a Protocol says it once for all), and when
    it is a breath long: a property, a delegation.
    """
    module = tree(path)
    if module.body and ast.get_docstring(module) is None:
        yield shown(path)
    for node in module.body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        if ast.get_docstring(node) is None and not overloaded(node):
            yield f"{shown(path, node.lineno)} {node.name}"
        if isinstance(node, ast.ClassDef):
            for method in public_methods(node):
                long = (method.end_lineno or 0) - method.body[0].lineno >= 3
                if long and method.name not in explained and ast.get_docstring(method) is None:
                    yield f"{shown(path, method.lineno)} {node.name}.{method.name}"


def overloaded(node: Function | ast.ClassDef) -> bool:
    return any(dotted(mark) in {"overload", "typing.overload"} for mark in node.decorator_list)


def public_methods(node: ast.ClassDef) -> Iterator[Function]:
    return (each for each in node.body if isinstance(each, Function) and not each.name.startswith("_"))


def documented_methods() -> frozenset[str]:
    return frozenset(
        method.name
        for path in PACKAGE
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
        for method in public_methods(node)
        if ast.get_docstring(method) is not None
    )


def test_everything_public_has_a_docstring() -> None:
    explained = documented_methods()
    silent = [name for path in PACKAGE for name in undocumented(path, explained)]
    assert not silent, "\n".join(silent)


def handlers(path: Path) -> Iterator[tuple[ast.ExceptHandler, set[str]]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ExceptHandler):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            yield node, {dotted(kind) if kind else "" for kind in kinds}


BROAD = {"", "Exception", "BaseException", "builtins.Exception"}


def broad(path: Path) -> list[str]:
    """Handlers that catch everything and keep it."""
    return [
        shown(path, node.lineno) for node, kinds in handlers(path) if kinds & BROAD and not reraises(node)
    ]


def reraises(node: ast.ExceptHandler) -> bool:
    """True when the handler only cleans up: its last act is a bare `raise`."""
    last = node.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_broad_except_stands_only_at_the_boundaries() -> None:
    judged = [path for path in PACKAGE if shown(path) not in BROAD_CATCHERS and path.name != "client.py"]
    found = [name for path in judged for name in broad(path)]
    assert not found, f"catch at a boundary, by name: {found}"


def reasonless(path: Path) -> list[str]:
    """Exceptions to a lint rule that do not say why."""
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    reasoned = re.compile(r"# noqa: [A-Z]+\d+(, [A-Z]+\d+)*( -|  #) \S")
    return [shown(path, number) for number, line in lines if "# noqa" in line and not reasoned.search(line)]


def test_every_exception_to_a_rule_gives_its_reason() -> None:
    found = [name for path in PACKAGE for name in reasonless(path)]
    assert not found, f"write `# noqa: CODE - why`: {found}"


def swallowed(path: Path) -> Iterator[str]:
    """Errors that end in nothing."""
    for node, _ in handlers(path):
        if all(isinstance(line, ast.Pass) or nothing(line) for line in node.body):
            yield shown(path, node.lineno)
    for node in ast.walk(tree(path)):
        suppresses = isinstance(node, ast.Call) and dotted(node.func) in {"suppress", "contextlib.suppress"}
        if suppresses and {dotted(kind) for kind in node.args} & BROAD:
            yield shown(path, node.lineno)


def nothing(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)


def test_no_error_is_swallowed() -> None:
    found = [name for path in PACKAGE for name in swallowed(path)]
    assert not found, found


def stubs(path: Path) -> Iterator[str]:
    """Places that promise what is not there."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if dotted(raised) == "NotImplementedError":
                yield shown(path, node.lineno)


def test_no_stub_is_left() -> None:
    found = [name for path in PACKAGE for name in stubs(path)]
    assert not found, found


SEAM_MODULES = {"random", "secrets"}
SEAM_CALLS = {
    "asyncio.get_event_loop().create_task",
    "loop.create_task",
    "time.sleep",
    "time.time_ns",
    "time.monotonic_ns",
    "uuid.uuid1",
}


def seams(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        match node:
            case ast.Import(names=names):
                roots = {alias.name.partition(".")[0] for alias in names}
            case ast.ImportFrom(module=str(module), level=0):
                roots = {module.partition(".")[0]}
            case ast.Call(func=func) if dotted(func) in SEAM_CALLS:
                yield f"{shown(path, node.lineno)} {dotted(func)}"
                continue
            case _:
                continue
        if roots & SEAM_MODULES:
            yield f"{shown(path, node.lineno)} import {', '.join(roots)}"


def test_chance_and_time_come_through_the_clock() -> None:
    found = [name for path in PACKAGE if shown(path) not in CHANCE_AND_TIME for name in seams(path)]
    assert not found, f"ask the injected Clock or Rng: {found}"


def patches(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            if name.endswith(("monkeypatch.setattr", "mock.patch", "mock.patch.object", "mocker.patch")):
                yield f"{shown(path, node.lineno)} {name}"


def test_tests_patch_nothing() -> None:
    found = [name for path in TESTS for name in patches(path)]
    assert not found, f"hand in a fake that passes the contract test instead: {found}"


PLANTED = """
import random
import time

def public():
    try:
        time.sleep(random.random())
    except Exception:  # noqa: BLE001
        pass
    with suppress(Exception):
        raise NotImplementedError
    monkeypatch.setattr("vpp_gateway.engine", None)
"""


@pytest.mark.parametrize(
    ("rule", "lines"),
    [
        (lambda path: undocumented(path, frozenset()), [None, 5]),
        (broad, [8]),
        (reasonless, [8]),
        (swallowed, [8, 10]),
        (stubs, [11]),
        (seams, [2, 7]),
        (patches, [12]),
    ],
    ids=["docstrings", "broad", "noqa", "swallowed", "stubs", "seams", "patches"],
)
def test_rule_finds_what_it_looks_for(
    rule: Callable[[Path], Iterable[str]], lines: list[int | None], tmp_path: Path
) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(PLANTED, encoding="utf-8")
    assert [name.partition(" ")[0] for name in rule(planted)] == [shown(planted, line) for line in lines]


@pytest.mark.parametrize("command", ["--help", "status --help", "demo --help"])
def test_help_is_light(command: str) -> None:
    code = (
        "import sys\n"
        "from vpp_gateway.cli import main\n"
        "sys.argv = ['vpp-gateway', *sys.argv[1:]]\n"
        "try:\n    main()\n"
        "except SystemExit as exit:\n    assert not exit.code, exit.code\n"
        "heavy = {'scipy', 'numpy', 'openleadr'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, *command.split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "Usage" in run.stdout
