"""A green run must say what it proved: a skip for a reason that nobody foresaw fails the run.

`make test` installs what the tests need, so a missing tool is a fault of the machine, not a reason to prove less.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile

import pytest

from tests.outgoing import ENVIRONMENT, SUMMARY

FORESEEN = re.compile(r"needs root|needs privileges|only root can|root reads everything")
"""Reasons that depend on the user who runs the tests, and on nothing that could be installed."""

_surprises: list[str] = []


def pytest_configure(config: pytest.Config) -> None:
    """A folder for what our VEN sends in this run."""
    if ENVIRONMENT not in os.environ:
        os.environ[ENVIRONMENT] = tempfile.mkdtemp(prefix="vppgw-outgoing-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(ENVIRONMENT), ignore_errors=True))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is marked `last` comes last."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep every skip that is not foreseen."""
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if not FORESEEN.search(reason):
            _surprises.append(f"{report.nodeid}: {reason}")


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A whole module that skipped itself is no different."""
    if report.skipped and isinstance(report.longrepr, tuple) and not FORESEEN.search(report.longrepr[2]):
        _surprises.append(f"{report.nodeid}: {report.longrepr[2]}")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run that would have been green."""
    if _surprises and exitstatus == 0:
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name them; and what the last test has to say."""
    for line in SUMMARY:
        terminalreporter.write_line(line)
    for surprise in _surprises:
        terminalreporter.write_line(f"skipped without a foreseen reason: {surprise}", red=True)
