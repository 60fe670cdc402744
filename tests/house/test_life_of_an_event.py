"""docs/life-of-an-event.md tells the truth: a real event is walked, and every row of its table is seen, in its order.

The walk is watched with the interpreter's own profiler: a row names a class, which is seen when an instance is made,
or a function, which is seen when it is called. Where a row's word can carry the event, only that which carries this
event counts. Nothing is patched, nothing in the house knows that it is watched.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import CodeType, FrameType

from tests.house.house import open_house
from tests.repository import ROOT
from vpp_gateway.clock import LoopClock
from vpp_gateway.domain.delivery import DeliveryRecord
from vpp_gateway.sim.loop import VirtualLoop, run

PAGE = ROOT / "docs" / "life-of-an-event.md"
ROW = re.compile(r"^\| *(\d+) *\| *`([a-z0-9_/]+)` *\| *`([A-Za-z_.]+)` *\|", re.MULTILINE)
EVENT = "EV-LIFE-1"
ORIGIN = 1_790_000_000.0
REGULATION_W = 180_000.0
QUIET_S, NOTICE_S, LASTS_S, AFTER_S = 70.0, 30.0, 60.0, 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the page's table."""

    step: int
    room: str
    """Module below `vpp_gateway`, with slashes."""
    word: str
    """Class, function or method in it."""

    def code(self) -> CodeType:
        """What runs when this row happens. Raises AssertionError when the room has no such word of its own."""
        module = import_module("vpp_gateway." + self.room.replace("/", "."))
        found: object = module
        for part in self.word.split("."):
            found = getattr(found, part, None)
            assert found is not None, f"step {self.step}: {self.room} has no {self.word}"
        assert found.__module__ == module.__name__, (
            f"step {self.step}: {self.word} is at home in {found.__module__}"
        )
        act = found.__init__ if isinstance(found, type) else found  # type: ignore[misc]  # the class's own
        code: CodeType = act.__code__  # type: ignore[union-attr]  # written in Python, as all of the package
        return code


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One row's code has run."""

    code: int
    """Identity of its code object; equal ones (dataclasses of the same shape) are not the same."""
    carries: bool
    """The event's id was among its arguments."""


def rows(text: str) -> list[Row]:
    """The table of the page."""
    return [Row(step=int(step), room=room, word=word) for step, room, word in ROW.findall(text)]


@contextmanager
def watching(codes: set[int]) -> Iterator[list[Seen]]:
    """Note each call of one of these code objects during the block."""
    seen: list[Seen] = []

    def note(frame: FrameType, happened: str, _: object) -> None:
        if happened == "call" and id(frame.f_code) in codes:
            told = {name: value for name, value in frame.f_locals.items() if name != "self"}
            seen.append(Seen(code=id(frame.f_code), carries=EVENT in repr(told)))

    sys.setprofile(note)
    try:
        yield seen
    finally:
        sys.setprofile(None)


def missing(expected: Sequence[Row], seen: Sequence[Seen]) -> list[str]:
    """Rows that do not follow their predecessor in what was seen."""
    carriers = {one.code for one in seen if one.carries}
    counted = [one.code for one in seen if one.carries or one.code not in carriers]
    place, lost = 0, []
    for row in expected:
        try:
            place = counted.index(id(row.code()), place) + 1
        except ValueError:
            never = id(row.code()) not in counted
            lost.append(
                f"step {row.step}: {row.room} {row.word} {'never came' if never else 'came before the row above'}"
            )
    return lost


def live(folder: Path, codes: set[int]) -> tuple[list[Seen], DeliveryRecord]:
    """One event in the virtual house, with a utility that orders reports and work that can be moved."""
    loop = VirtualLoop()
    clock = LoopClock(loop, ORIGIN)

    async def main() -> tuple[list[Seen], DeliveryRecord]:
        async with open_house(folder, clock=clock, vtn=True, work=True, order=(1.0, 10.0)) as house:
            await house.run_for(QUIET_S)
            with watching(codes) as seen:
                event = house.event(EVENT, after_s=NOTICE_S, duration_s=LASTS_S, regulation_w=REGULATION_W)
                house.vtn.add_event(event)
                await house.run_for(NOTICE_S + LASTS_S + AFTER_S)
            return seen, house.record(EVENT)

    return run(main, loop=loop)


def test_every_step_of_the_page_happens_in_its_order(tmp_path: Path) -> None:
    expected = rows(PAGE.read_text(encoding="utf-8"))
    assert len(expected) > 50, "the page's tables are not read"
    assert [row.step for row in expected] == list(range(1, len(expected) + 1))

    seen, record = live(tmp_path, {id(row.code()) for row in expected})

    assert (record.state, record.opt) == ("completed", "in")
    assert not missing(expected, seen)


def test_a_page_that_lies_is_found() -> None:
    page = "| 1 | `domain/instruction` | `Instruction` | |\n| 2 | `domain/fact` | `Instructed` | |\n"
    first, second = rows(page)
    truth = [Seen(code=id(row.code()), carries=True) for row in (first, second)]
    assert missing([first, second], truth) == []
    assert missing([second, first], truth) == [
        "step 1: domain/instruction Instruction came before the row above"
    ]
    assert missing([first, second], truth[:1]) == ["step 2: domain/fact Instructed never came"]
    other = [Seen(code=id(first.code()), carries=False), *truth[1:], truth[0]]
    assert len(missing([first, second], other)) == 1, "another event's instruction is not this one's"
