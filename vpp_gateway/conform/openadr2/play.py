"""Plays one procedure against one VEN: step by step, until one does not hold.

Every wait is bounded; every failure says the step, the rule, what was expected and what was found.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, assert_never

from vpp_gateway.clock import Clock
from vpp_gateway.conform.openadr2.procedure import (
    Check,
    Count,
    Expect,
    Mutant,
    Procedure,
    Prompt,
    Register,
    Reply,
    Say,
    Silence,
    Step,
    Vtn,
    Wait,
)
from vpp_gateway.conform.openadr2.server import Server
from vpp_gateway.conform.openadr2.subject import NotPossible, Operator
from vpp_gateway.conform.openadr2.vtn import Heard, LiteralVtn, Script
from vpp_gateway.conform.openadr2.xml import ProcedureError, evaluate, values


class Breached(Exception):
    """The VEN does not do what the procedure expects."""

    def __init__(self, rule: str, what: str) -> None:
        super().__init__(f"rule {rule}: {what}" if rule else what)
        self.rule = rule


@dataclass(slots=True, kw_only=True)
class Play:
    """One procedure under way."""

    procedure: Procedure
    server: Server
    clock: Clock
    operator: Operator
    mutant: Mutant | None = None
    _seen: dict[str, int] = field(default_factory=dict)
    """Message name -> how many of all heard messages were looked at for it."""

    @property
    def _vtn(self) -> LiteralVtn:
        return self.server.vtn

    async def run(self) -> None:
        """All steps.

        Raises:
            Breached: at the first that does not hold.
            NotPossible: an operator's act that nobody can do.
        """
        for number, step in enumerate(self.procedure.steps, start=1):
            try:
                try:
                    await self._step(step)
                finally:
                    self._lawful()
            except ProcedureError as error:
                raise ProcedureError(f"{self.procedure.id}: step {number} ({step.do}): {error}") from None
            except Breached as breach:
                raise Breached(breach.rule, f"step {number} ({step.do}): {_bare(breach)}") from None

    async def _step(self, step: Step) -> None:
        match step:
            case Register():
                await self._register(step)
            case Say():
                self._vtn.say(
                    Script(
                        message=step.message,
                        alter=step.alter,
                        body=step.body,
                        prolog=step.prolog,
                        padding_kb=step.padding_kb,
                        service=step.service,
                        content_type=step.content_type,
                    )
                )
                self.server.push()
            case Reply():
                script = Script(
                    message=step.message,
                    alter=step.alter,
                    body=step.body,
                    prolog=step.prolog,
                    padding_kb=step.padding_kb,
                    status=step.status,
                )
                self._vtn.reply(step.to, script, step.times)
            case Expect():
                await self._expect(step)
            case Silence():
                await self._silence(step)
            case Count():
                await self._count(step)
            case Wait():
                await asyncio.sleep(self._seconds(step))
            case Prompt():
                await self._prompt(step)
            case Vtn():
                self._change(step)
            case _:
                assert_never(step)

    async def _register(self, step: Register) -> None:
        asked = ("oadrPoll", "oadrRequestEvent")

        def done() -> bool:
            return bool(self._vtn.registered) and any(heard.name in asked for heard in self._vtn.heard)

        if not await self._until(done, step.within_s):
            found = self._last() if self._vtn.heard else f"nothing was heard at {self.server.url}"
            raise Breached(
                self._rule, f"expected a registration and a poll within {step.within_s:g} s; {found}"
            )

    async def _expect(self, step: Expect) -> None:
        within_s = step.within_s if step.within_s is not None else step.within_polls * self._poll_s
        found: list[Heard] = []
        if step.fresh:
            self._seen[step.message] = len(self._vtn.heard)

        def there() -> bool:
            one = self._next(step.message, step.where)
            if one is not None:
                found.append(one)
            return one is not None

        if not await self._until(there, within_s):
            what = _named(step.message, step.where)
            raise Breached(self._rule, f"expected {what} within {within_s:g} s; {self._last()}")
        one = found[0]
        for check in step.checks:
            self._hold(check, values(one.tree, check.at, one.named), step.message)
        for name, path in step.remember.items():
            self._vtn.names[name] = (values(one.tree, path, one.named) or [""])[0]

    async def _silence(self, step: Silence) -> None:
        self._seen[step.message] = len(self._vtn.heard)  # what came before is not asked for
        if await self._until(lambda: self._next(step.message, step.where) is not None, self._seconds(step)):
            found = self._vtn.heard[self._seen[step.message] - 1]
            raise Breached(
                self._rule,
                f"expected no {_named(step.message, step.where)} for {self._seconds(step):g} s, found {found.name}",
            )

    async def _count(self, step: Count) -> None:
        before = len(self._vtn.heard)
        await asyncio.sleep(self._seconds(step))
        count = sum(self._fits(heard, step.message, step.where) for heard in self._vtn.heard[before:])
        low, high = step.between
        if not low <= count <= high:
            many = "no" if high == 0 else str(low) if low == high else f"{low} to {high}"
            what = f"{many} {_named(step.message, step.where)} in {self._seconds(step):g} s"
            raise Breached(self._rule, f"expected {what}, found {count}")

    async def _prompt(self, step: Prompt) -> None:
        answer = dict(await self.operator.prompt(step.verb, self._filled(step.give)))
        if self.mutant is not None and self.mutant.answers is not None:
            answer |= self.mutant.answers
        for check in step.checks:
            self._hold(check, _at(answer, check.at), f"{step.verb}")
        for name, path in step.remember.items():
            self._vtn.names[name] = (_at(answer, path) or [""])[0]

    def _filled(self, give: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: self._vtn.known.get(value[1:-1], value) if isinstance(value, str) else value
            for key, value in give.items()
        }

    def _change(self, step: Vtn) -> None:
        if step.down is not None:
            self._vtn.down = step.down
        if step.forget:
            self._vtn.forget()
        if step.poll_s is not None:
            self._vtn.poll_s = step.poll_s
        if step.clock_s is not None:
            self._vtn.clock_s = step.clock_s
        self._vtn.tls = step.tls or self._vtn.tls
        self._vtn.sign = step.sign or self._vtn.sign
        if step.signed_at_s is not None:
            self._vtn.signed_at_s = step.signed_at_s
        if lacks := self.server.lacks():
            raise NotPossible(lacks)

    def _last(self) -> str:
        return f"last: {', '.join(heard.name for heard in self._vtn.heard[-4:]) or 'nothing'}"

    # -- looking ---------------------------------------------------------------------------------------------

    def _next(self, name: str, where: str) -> Heard | None:
        """The next message of that name that was not looked at, if it is there."""
        heard = self._vtn.heard
        for index in range(self._seen.get(name, 0), len(heard)):
            self._seen[name] = index + 1
            if self._fits(heard[index], name, where):
                return heard[index]
        return None

    @staticmethod
    def _fits(heard: Heard, name: str, where: str) -> bool:
        return name in ("any", heard.name) and (not where or bool(evaluate(heard.tree, where, heard.named)))

    async def _until(self, condition: Callable[[], bool], within_s: float) -> bool:
        deadline = self.clock.monotonic() + within_s
        while True:
            self.server.stirred.clear()
            if condition():
                return True
            left = deadline - self.clock.monotonic()
            if left <= 0:
                return False
            try:
                async with asyncio.timeout(left):
                    await self.server.stirred.wait()
            except TimeoutError:
                return condition()

    def _lawful(self) -> None:
        """A breach of a law that the procedure is about fails it; others are told beside it."""
        if self.server.fault is not None:
            raise self.server.fault
        for breach in self._vtn.breaches:
            if breach.rule in self.procedure.rules:
                raise Breached(breach.rule, breach.what)

    def _hold(self, check: Check, found: list[str], where: str) -> None:
        wrong = _complaint(check, found, self._vtn.known, self._vtn.t0)
        if wrong:
            raise Breached(check.rule or self._rule, f"{where}: {check.at}: {wrong}")

    @property
    def _rule(self) -> str:
        return self.procedure.rules[0]

    @property
    def _poll_s(self) -> float:
        return self._vtn.poll_s or 10.0

    def _seconds(self, step: Silence | Count | Wait) -> float:
        if step.for_s is not None:
            return step.for_s
        return (step.for_polls if step.for_polls is not None else 2.0) * self._poll_s


def _named(message: str, where: str) -> str:
    return ("message" if message == "any" else message) + (f" with {where}" if where else "")


def _bare(breach: Breached) -> str:
    return str(breach).removeprefix(f"rule {breach.rule}: ")


def _at(answer: Mapping[str, Any], path: str) -> list[str]:
    """Texts at a dotted path; `*` is every member of a list, `[key=value]` those members of which this holds."""
    here: list[Any] = [answer]
    for part in re.findall(r"\[[^]]*\]|[^.\[\]]+", path):
        after: list[Any] = []
        for one in here:
            if part.startswith("["):
                key, _, value = part[1:-1].partition("=")
                after += (
                    [row for row in one if str(row.get(key)) == value]
                    if isinstance(one, list | tuple)
                    else []
                )
            elif part == "*" and isinstance(one, list | tuple):
                after += one
            elif isinstance(one, Mapping) and part in one:
                after.append(one[part])
        here = after
    return ["" if one is None else str(one).lower() if isinstance(one, bool) else str(one) for one in here]


def _complaint(check: Check, found: list[str], names: Mapping[str, str], t0: float) -> str:
    """What is wrong, in words; empty when the check holds."""
    if check.count is not None:
        return "" if len(found) == check.count else f"expected {check.count}, found {len(found)}"
    if not found:
        return "expected one, found none"
    first = found[0]
    number = _number(first)
    if check.equals is not None:
        wanted = _with_names(check.equals, names)
        same = number == float(check.equals) if isinstance(check.equals, int | float) else first == wanted
        return "" if same else f"expected {wanted!r}, found {first!r}"
    if check.differs is not None:
        return "" if first != _with_names(check.differs, names) else f"expected anything but {first!r}"
    if check.matches is not None:
        return (
            ""
            if re.fullmatch(check.matches, first)
            else f"expected a text of the form {check.matches}, found {first!r}"
        )
    if check.one_of is not None:
        return "" if first in check.one_of else f"expected one of {', '.join(check.one_of)}, found {first!r}"
    if check.time is not None:
        return _timely(first, check.time, t0)
    low = -math.inf if check.at_least is None else check.at_least
    high = math.inf if check.at_most is None else check.at_most
    if low <= number <= high:
        return ""
    if math.isinf(high) or math.isinf(low):
        return f"expected {f'at least {low:g}' if math.isinf(high) else f'at most {high:g}'}, found {first!r}"
    return f"expected {low:g} to {high:g}, found {first!r}"


def _with_names(wanted: str | int | float, names: Mapping[str, str]) -> str:
    said = str(wanted)
    for name, value in names.items():
        said = said.replace("{" + name + "}", value)
    return said


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _timely(text: str, allowed: tuple[float, float], t0: float) -> str:
    number = _number(text)
    if math.isnan(number):
        try:
            number = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC).timestamp()
        except ValueError:
            return f"expected a time, found {text!r}"
    low, high = allowed
    offset = number - t0
    return (
        ""
        if low <= offset <= high
        else f"expected {low:g} to {high:g} s after the start, found {offset:.1f} s"
    )
