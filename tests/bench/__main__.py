"""`python -m tests.bench [NAME ...] [--json bench.json]`: measure, print a table, write the report.

NAME is a row, the beginning of names, or a glob: `dispatch_100`, `simulate`, `*_300`. Exit code 0: every goal holds,
1: one does not, 2: no such row.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from tests.bench.families import FAMILIES, NAMES, UnknownRow, select
from tests.bench.machine import this_machine
from tests.bench.report import Report, Row
from tests.bench.table import draw


def measure(wanted: frozenset[str], path: Path, console: Console) -> Report:
    """Measure the wanted rows, family by family; `path` always holds what is there so far."""
    at, machine = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), this_machine()
    rows: list[Row] = []
    report = Report(at=at, machine=machine, rows=())
    for family in FAMILIES:
        mine = wanted.intersection(family.names)
        if not mine:
            continue
        console.print(f"measuring {', '.join(n for n in family.names if n in mine)} ...", highlight=False)
        rows += family.measure(mine)
        report = Report(at=at, machine=machine, rows=tuple(rows))
        path.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return report


def main(arguments: Sequence[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"rows: {', '.join(NAMES)}")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where the report goes")
    chosen = parser.parse_args(arguments)
    try:
        wanted = select(chosen.names)
    except UnknownRow as error:
        print(error, file=sys.stderr)
        return 2
    report = measure(wanted, chosen.json, Console(stderr=True))
    draw(report, Console(width=None if sys.stdout.isatty() else 160))
    return 1 if any(row.holds is False for row in report.rows) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
