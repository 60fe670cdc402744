"""A play kept in a folder, so that it can be replayed: the journal, on what it was played, and what was decided.

DIR/journal.db   DIR/run.json (fleet, policy, hosts)   DIR/decisions.jsonl (one command a line, in order)
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from vpp_gateway.catalogue import Told
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.command import Answer, Arrange, Command, Conclude, Plan, Shift, Solve
from vpp_gateway.domain.fleet import Fleet
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import PluginName
from vpp_gateway.errors import JournalError
from vpp_gateway.whatif.course import Course
from vpp_gateway.whatif.house import policy_hosts
from vpp_gateway.whatif.world import Play

JOURNAL, RUN, DECISIONS = "journal.db", "run.json", "decisions.jsonl"


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


def keep_decisions(folder: Path, course: Course) -> None:
    """Write down what was decided, in order."""
    lines = "".join(spell(command) + "\n" for _, command in course.commands)
    (folder / DECISIONS).write_text(lines, "utf-8")


def ground_of(folder: Path) -> Ground | None:
    """On what the play in `folder` was made; None: it does not say.

    Raises:
        JournalError: the file is not what `keep_play` wrote.
    """
    path = folder / RUN
    if not path.exists():
        return None
    try:
        return _GROUND.validate_json(path.read_bytes())
    except ValueError as error:
        raise JournalError(f"{path} cannot be read: {error}") from error


def decisions_of(folder: Path) -> list[str] | None:
    """What was decided, one line each; None: nobody wrote it down."""
    path = folder / DECISIONS
    return path.read_text("utf-8").splitlines() if path.exists() else None


def spell(command: Command) -> str:
    """A command as one line: equal commands have equal lines."""
    value = _COMMANDS[type(command)].dump_python(command, mode="json")
    return json.dumps({"kind": type(command).__name__, **value}, sort_keys=True, ensure_ascii=False)
