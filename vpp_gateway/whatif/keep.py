"""A play kept in a folder, so that it can be replayed: the journal, on what it was played, and what was decided.

DIR/journal.db   DIR/run.json (fleet, policy, hosts)   DIR/decisions.jsonl (one command a line, in order)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from vpp_gateway.catalogue import Told
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.command import Answer, Arrange, Command, Conclude, Plan, Shift, Solve
from vpp_gateway.domain.fleet import Fleet
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import PluginName
from vpp_gateway.errors import JournalError, leaves
from vpp_gateway.whatif.course import Course
from vpp_gateway.whatif.house import policy_hosts
from vpp_gateway.whatif.world import Play

JOURNAL, RUN, DECISIONS = "journal.db", "run.json", "decisions.jsonl"
MADE = (JOURNAL, "journal.db-wal", "journal.head", "journal.head.new", "journal.lock", RUN, DECISIONS)
"""All that a kept run consists of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a gateway is made of: with it and the facts, every decision can be made again."""

    fleet: Fleet
    policy: Policy
    hosts: dict[PluginName, SiteId]


_GROUND: TypeAdapter[Ground] = TypeAdapter(Ground)
_COMMANDS: dict[type, TypeAdapter[Command]] = {
    kind: TypeAdapter(kind) for kind in (Answer, Arrange, Conclude, Plan, Shift, Solve)
}


def keep_play(folder: Path, play: Play) -> Path:
    """Make the folder ready; where the journal is to be written.

    Raises:
        Told: it holds a journal already, or cannot be written.
    """
    if (folder / JOURNAL).exists():
        raise Told("whatif.exists", path=folder)
    ground = Ground(fleet=play.fleet, policy=play.policy, hosts=policy_hosts(play))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RUN).write_bytes(_GROUND.dump_json(ground, indent=1) + b"\n")
    except OSError as error:
        raise Told("whatif.no_folder", path=folder, why=error.strerror or error) from None
    return folder / JOURNAL


@contextmanager
def keeping(folder: Path, play: Play) -> Iterator[Path]:
    """`keep_play`, and nothing is left of it unless the whole run could be kept: half a run replays as another one.

    Raises:
        Told: as `keep_play`; or the run could not be written there to its end.
    """
    new = not folder.exists()
    if (folder / JOURNAL).exists():
        raise Told("whatif.exists", path=folder)
    try:
        yield keep_play(folder, play)
    except BaseException as error:
        _discard(folder, new)
        if why := _unwritten(error):
            raise Told("whatif.not_kept", path=folder, why=why) from error
        raise


def _discard(folder: Path, new: bool) -> None:
    """Take away what was made, and the folder itself if it is new."""
    with suppress(OSError):
        for name in MADE:
            (folder / name).unlink(missing_ok=True)
        if new:
            folder.rmdir()


def _unwritten(error: BaseException) -> str:
    """Why the run could not be written; empty: another reason ended it."""
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_unwritten, leaves(error))), "")
    if isinstance(error, OSError):
        file = "" if error.filename is None else f": {error.filename}"
        return f"{error.strerror or error}{file}"
    return str(error) if isinstance(error, JournalError) else ""


def keep_decisions(folder: Path, course: Course) -> None:
    """Write down what was decided, in order."""
    lines = "".join(spell(command) + "\n" for _, command in course.commands)
    (folder / DECISIONS).write_text(lines, "utf-8")


def ground_of(folder: Path) -> Ground | None:
    """On what the play in `folder` was made; None: it does not say.

    Raises:
        Told: the file is not what `keep_play` wrote, or cannot be read.
    """
    path = folder / RUN
    if not path.exists():
        return None
    try:
        said = path.read_bytes()
        return _GROUND.validate_json(said)
    except OSError as error:
        raise Told("replay.bad_run", path=path, why=error.strerror or error) from None
    except ValidationError as error:
        why = _first(error) if said.strip() else "it is empty"
        raise Told("replay.bad_run", path=path, why=why) from None


def _first(error: ValidationError) -> str:
    """The first thing that is wrong, with its place in the file."""
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, fault["loc"]))
    return f"{place}: {fault['msg']}" if place else fault["msg"]


def decisions_of(folder: Path) -> list[str] | None:
    """What was decided, one line each; None: nobody wrote it down.

    Raises:
        Told: the file cannot be read.
    """
    path = folder / DECISIONS
    try:
        return path.read_text("utf-8").splitlines() if path.exists() else None
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else "") or error
        raise Told("replay.bad_decisions", path=path, why=why) from None


def spell(command: Command) -> str:
    """A command as one line: equal commands have equal lines."""
    value = _COMMANDS[type(command)].dump_python(command, mode="json")
    return json.dumps({"kind": type(command).__name__, **value}, sort_keys=True, ensure_ascii=False)
