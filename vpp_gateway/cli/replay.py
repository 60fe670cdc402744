"""`replay`: a journal folded again by the real gateway; are the decisions those of the run?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vpp_gateway.catalogue import Lang, Told, text
from vpp_gateway.cli.common import (
    DEGRADED,
    FAILED,
    OK,
    SCHEMA_VERSION,
    config_option,
    json_option,
    lang_option,
    language,
    print_json,
    remember_language,
    say,
)
from vpp_gateway.cli.words import NOTHING, moment

if TYPE_CHECKING:
    from vpp_gateway.whatif.keep import Ground
    from vpp_gateway.whatif.replay import Difference, Replayed


@click.command
@click.argument("journal", type=click.Path(path_type=Path))
@config_option
@json_option
@lang_option
@click.pass_context
def replay(ctx: click.Context, journal: Path, config: Path | None, as_json: bool, lang: str | None) -> None:
    """Fold JOURNAL again and compare the decisions: a folder of `simulate --keep`, a state_dir, or its journal.db.

    A real run needs the configuration that it ran on (--config). The journal is only read, also while it is written.
    Exits with 1 at the first difference; with 6 when the journal itself is not whole, and what can be read of it gives no
    difference.
    """
    from vpp_gateway.whatif.keep import JOURNAL, decisions_of
    from vpp_gateway.whatif.reading import refuse_other_files
    from vpp_gateway.whatif.replay import replay_journal

    path = journal / JOURNAL if journal.is_dir() else journal
    if not path.is_file():
        raise Told("replay.no_journal", path=path)
    refuse_other_files(path)
    ground = ground_at(ctx, path.parent, config)
    found = replay_journal(path, ground, decisions_of(path.parent))
    if as_json:
        print_json(_document(found))
    else:
        for line in _lines(path, found, language(ctx)):
            say(line)
    ctx.exit(FAILED if found.difference is not None else DEGRADED if found.problem else OK)


def ground_at(ctx: click.Context, folder: Path, config: Path | None) -> Ground:
    """On what the run was made: as the configuration says, else as the folder says."""
    from vpp_gateway.whatif.keep import Ground, ground_of

    if config is None:
        ground = ground_of(folder)
        if ground is None:
            raise Told("replay.no_config", path=folder)
        return ground
    from vpp_gateway.compose_centre import host_of, policy_of
    from vpp_gateway.settings import fleet, load_settings

    settings = load_settings(config, files=False)
    remember_language(ctx, settings.gateway.language)
    return Ground(fleet=fleet(settings), policy=policy_of(settings), hosts=host_of(settings))


def _lines(path: Path, found: Replayed, lang: Lang) -> list[str]:
    lines = [
        text(
            "replay.head",
            lang,
            path=path,
            facts=found.facts,
            since=moment(found.first_at),
            until=moment(found.last_at),
            decisions=found.decisions,
        )
    ]
    if found.problem:
        lines.append(text("replay.not_whole", lang, path=path, why=found.problem))
    if found.missing:
        lines.append(text("replay.gap", lang, count=found.missing, seq=found.resumed_seq))
    if found.difference is not None:
        return [*lines, _told(found.difference, lang)]
    lines.append(text("replay.so_far" if found.problem else "replay.same", lang, compared=found.compared))
    if found.beyond:
        lines.append(text("replay.beyond", lang, count=found.beyond))
    return lines


def _told(difference: Difference, lang: Lang) -> str:
    return text(
        "replay.different",
        lang,
        seq=difference.seq,
        kind=difference.kind or "–",
        at=moment(difference.at),
        what=_what(difference, lang),
    )


def _what(difference: Difference, lang: Lang) -> str:
    from vpp_gateway.whatif.keep import DECISIONS

    was, now, field = difference.was, difference.now, difference.field
    if difference.torn:
        return text("replay.torn", lang, line=difference.torn, file=DECISIONS, was=was)
    if field is not None:
        values = {"was": field.was or NOTHING, "now": field.now or NOTHING}
        return text("replay.field", lang, kind=field.kind, field=field.path, **values)
    code = "replay.decision" if was and now else "replay.missing" if was else "replay.extra"
    return text(code, lang, was=was, now=now)


def _document(found: Replayed) -> dict[str, object]:
    difference = found.difference
    return {
        "schema_version": SCHEMA_VERSION,
        "identical": difference is None,
        "facts": found.facts,
        "first_at": found.first_at,
        "last_at": found.last_at,
        "decisions": found.decisions,
        "compared": found.compared,
        "beyond": found.beyond,
        "missing_records": found.missing,
        "problem": found.problem,
        "difference": None
        if difference is None
        else {
            "seq": difference.seq,
            "kind": difference.kind,
            "at": difference.at,
            "was": difference.was,
            "now": difference.now,
            "field": None if difference.field is None else asdict(difference.field),
            "torn_line": difference.torn,
        },
    }
