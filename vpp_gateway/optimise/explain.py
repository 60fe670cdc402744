"""Why, in words: one sentence per reason, English and Japanese, from the one catalogue."""

from __future__ import annotations

from collections.abc import Iterable

from vpp_gateway.catalogue import Lang, retell, text
from vpp_gateway.domain.plan import Plan, Problem, Reason, Target

KW = {"w": "kw", "room_w": "room_kw", "other_w": "other_kw", "total_w": "total_kw", "step_w": "step_kw"}
"""Values in W that people read in kW: name of the value -> name in the sentence."""


def sentence(reason: Reason, lang: Lang) -> str:
    """One reason as a sentence.

    Raises:
        MisuseError: the catalogue lacks the reason's code.
    """
    values: dict[str, object] = {}
    for name, value in reason.values:
        values[KW.get(name, name)] = kw(value) if name in KW else value
    return text(f"why.{reason.code}", lang, **values)


def sentences(reasons: Iterable[Reason], lang: Lang) -> tuple[str, ...]:
    """Reasons as sentences, in order, each once."""
    return tuple(dict.fromkeys(sentence(reason, lang) for reason in reasons))


def told(reason: Reason | str | None, lang: Lang) -> str:
    """Why an instruction was taken or refused; empty when there is nothing to say. Words of old journals stay words."""
    match reason:
        case None:
            return ""
        case str():
            return retell(reason, lang)
        case _:
            return sentence(reason, lang)


def kw(watts: str) -> str:
    """W as text -> kW with one decimal."""
    return f"{float(watts) / 1000:.1f}"


def reasons_of(plan: Plan, target: Target, problem: Problem) -> tuple[Reason, ...]:
    """Why, for one target: what bound, what is called, who gives what; what was left uncalled comes last."""
    names = {v.offer: v.name for v in problem.levers if any(leg.site in target.sites for leg in v.legs)}
    calls = [
        Reason(code=c.reason.code, values=(("offer", names[c.offer]), *c.reason.values))
        for c in plan.calls
        if c.offer in names
    ]
    shares = [
        Reason(code=s.reason.code, values=(("device", s.id), *s.reason.values))
        for s in plan.shares
        if target.has(s.id, s.site) and s.reason is not None
    ]
    used = [reason for reason in (*calls, *shares) if not _idle(reason)]
    return (*plan.binding, *used, *(reason for reason in (*calls, *shares) if _idle(reason)))


def _idle(reason: Reason) -> bool:
    """Nothing is wanted of it: it is not needed, or spared altogether."""
    spared = reason.code == "share.wear" and dict(reason.values)["w"] == "0"
    return spared or reason.code in ("call.not_needed", "share.not_needed")
