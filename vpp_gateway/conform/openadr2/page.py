"""The report as one page that needs nothing else: verdicts, reasons, coverage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from vpp_gateway.catalogue import Lang, text
from vpp_gateway.conform.openadr2.coverage import Row
from vpp_gateway.conform.report import ConformReport

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, "Noto Sans JP", sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid color-mix(in srgb, currentColor 18%, transparent); vertical-align: top; }
th, td.v, td.n { white-space: nowrap; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.sum { display: flex; gap: 2rem; flex-wrap: wrap; margin: 1rem 0; } .sum b { display: block; font-size: 1.6rem; }
.pass { color: #17803d; } .fail { color: #c02020; font-weight: 600; } .not_applicable { opacity: .65; }
@media (prefers-color-scheme: dark) { .pass { color: #58c97f; } .fail { color: #ff7b72; } }
code { font-size: .88em; }
"""


def _head(said: Callable[[str], str], columns: Sequence[str]) -> str:
    cells = "".join(f"<th>{said(f'column.{key}')}</th>" for key in columns)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>"


def page(report: ConformReport, rows: Sequence[Row], lang: Lang) -> str:
    """HTML text."""
    counts = {
        verdict: sum(one.verdict == verdict for one in report.procedures)
        for verdict in ("pass", "fail", "not_applicable")
    }

    def said(key: str, **values: object) -> str:
        return escape(text(f"conform.{key}", lang, **values))

    summary = "".join(
        f'<div><b class="{verdict}">{count}</b>{said(f"verdict.{verdict}")}</div>'
        for verdict, count in counts.items()
    )
    lines = "".join(
        f"<tr><td><code>{escape(one.id)}</code></td><td>{escape(one.title)}</td>"
        f"<td>{escape(', '.join(one.rules))}</td>"
        f'<td class="v {one.verdict}">{said(f"verdict.{one.verdict}")}</td>'
        f'<td>{escape(one.reason)}</td><td class="n">{one.seconds:.1f}</td></tr>'
        for one in report.procedures
    )
    mutants = "".join(
        f"<tr><td><code>{escape(one.procedure)}</code></td><td>{escape(one.name)}</td><td>{escape(one.rule)}</td>"
        f'<td class="v {"pass" if one.caught else "fail"}">{said(f"caught.{str(one.caught).lower()}")}</td>'
        f"<td>{escape(one.reason)}</td></tr>"
        for one in report.mutants
    )
    covered = "".join(
        f"<tr><td>{escape(row.rule.id)}</td><td>{escape(row.rule.text)}</td>"
        f'<td class="n">{len(row.procedures)}</td><td class="n">{row.mutants}</td></tr>'
        for row in rows
    )
    head = _head(said, ("id", "mutant", "rule", "verdict", "reason"))
    played = f"<h2>{said('mutants_played')}</h2>{head}{mutants}</tbody></table>" if mutants else ""
    pace = said("virtual_time") if report.virtual_time else said("real_time")
    title = said("title", standard=report.standard)
    return (
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{title}</h1><p>{said('subject', subject=report.subject, at=report.at)} {pace}</p>"
        f'<div class="sum">{summary}</div>'
        f"<h2>{said('procedures')}</h2>"
        + _head(said, ("id", "title", "rules", "verdict", "reason", "seconds"))
        + f"{lines}</tbody></table><h2>{said('coverage')}</h2>"
        + _head(said, ("rule", "text", "procedures", "mutants"))
        + f"{covered}</tbody></table>"
        + f"{played}</body></html>\n"
    )
