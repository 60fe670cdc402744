"""Which event of a play rules which site when: by what was asked and what was taken, not by the gateway's word.

The rule is the timeline's (`portfolio.timeline`): by priority, then by start, then by reception. Only events that were
opted in rule anything; limits never compete.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vpp_gateway.domain.instruction import InstructionId, Limit, SiteId
from vpp_gateway.whatif.course import Course
from vpp_gateway.whatif.house import instruction_id
from vpp_gateway.whatif.world import Asked, Play


def urgency_of(asked: Asked) -> tuple[int, float, float, InstructionId]:
    """Sorts the more urgent first; no two are equal."""
    return (asked.rank, asked.start_s, asked.received_s, instruction_id(asked))


def before(play: Play, course: Course, asked: Asked) -> tuple[Asked, ...]:
    """Events that take sites from this one at some moment of it, the most urgent first."""
    if isinstance(asked.demand, Limit):
        return ()
    scope = set(play.scope_of(asked))
    found = (
        other
        for other in play.asked
        if not isinstance(other.demand, Limit)
        and course.opts.get(instruction_id(other), ("", ""))[0] == "in"
        and urgency_of(other) < urgency_of(asked)
        and other.begins_s < asked.end_s
        and other.end_s > asked.begins_s
        and scope & set(play.scope_of(other))
    )
    return tuple(sorted(found, key=urgency_of))


def elsewhere(play: Play, others: Iterable[Asked], asked: Asked, at_s: float) -> dict[SiteId, str]:
    """Sites of an event that another one rules in this second -> that one's name.

    Args:
        others: Those of `before`.
    """
    ruled: dict[SiteId, str] = {}
    for other in others:
        if other.begins_s <= at_s < other.end_s:
            for site in play.scope_of(other):
                ruled.setdefault(site, other.name)
    return {site: ruled[site] for site in play.scope_of(asked) if site in ruled}


def holders(play: Play, course: Course, asked: Asked) -> Iterator[tuple[str, tuple[SiteId, ...]]]:
    """Events that had been taken when this one was judged and rule sites of it in its time: name, sites."""
    place = play.asked.index(asked)
    for other in before(play, course, asked):
        if (other.received_s, play.asked.index(other)) < (asked.received_s, place):
            mine = play.scope_of(asked)
            yield other.name, tuple(site for site in play.scope_of(other) if site in mine)


def limiters(play: Play, course: Course, asked: Asked) -> Iterator[tuple[str, tuple[SiteId, ...]]]:
    """Limits that bound sites of an event in its time: name, sites."""
    mine = play.scope_of(asked)
    for other in () if isinstance(asked.demand, Limit) else play.asked:
        meets = other.start_s < asked.end_s and other.end_s > asked.begins_s
        sites = tuple(site for site in play.scope_of(other) if site in mine)
        taken = course.opts.get(instruction_id(other), ("", ""))[0] == "in"
        if isinstance(other.demand, Limit) and taken and meets and sites:
            yield other.name, sites
