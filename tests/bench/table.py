"""The report for people: one line a row, notes on request."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from tests.bench.report import Report, Row

SIGN = {"higher": "↑", "lower": "↓", "neither": ""}


def draw(report: Report, console: Console) -> None:
    """Print the report."""
    machine = report.machine
    console.print(
        f"{report.at}  {machine.cpu}, {machine.cores} cores, {machine.memory / 2**30:.0f} GiB, "
        f"{machine.python}, {machine.kernel}",
        highlight=False,
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title, right in (
        ("row", False),
        ("ours", True),
        ("unit", False),
        ("beside", True),
        ("of", False),
        ("ratio", True),
        ("goal", False),
        ("holds", False),
    ):
        table.add_column(title, justify="right" if right else "left", overflow="fold")
    for row in report.rows:
        table.add_row(*_cells(row))
    console.print(table)
    for row in report.rows:
        failed = [check.what for check in row.checks if not check.true]
        if failed:
            console.print(f"{row.name}: not true: {'; '.join(failed)}", style="red", highlight=False)


def _cells(row: Row) -> tuple[str, ...]:
    verdict = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}[row.holds]
    return (
        row.name,
        figure(row.ours),
        f"{row.unit} {SIGN[row.better]}".strip(),
        "" if row.theirs is None else figure(row.theirs),
        row.against,
        "" if row.ratio is None else figure(row.ratio),
        ", ".join(goal.words() for goal in row.goal) or "for information",
        verdict,
    )


def figure(value: float) -> str:
    """Three digits that matter, never an exponent for what people read."""
    if value == int(value) and abs(value) < 1e6:
        return f"{value:.0f}"
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.3g}"
