"""Housekeeping by the calendar: certificate countdown and retention. Never control.

The calendar is apscheduler's triggers, asked for their next fire time with a `now` of ours; its schedulers, which
keep wall-clock timers of their own and skip missed runs in silence, are not used. A job that was missed (the process
was down, the clock was set) runs once, at the next look. Jobs are short; one that fails is named in `troubles` and
tried again at its next time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import structlog
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

from vpp_gateway.clock import Clock
from vpp_gateway.errors import GatewayError
from vpp_gateway.identity import IdentityError, expiry_step, facts, read_certificate
from vpp_gateway.journal.archive import Retention
from vpp_gateway.journal.store import Journal
from vpp_gateway.journal.telemetry import TelemetryStore
from vpp_gateway.northbound.openadr2.wallet import Wallet

LOOK_S = 60.0
"""The longest sleep, so that a clock that was set is noticed."""
DAY_S = 86400.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Something to do by the calendar."""

    name: str
    trigger: BaseTrigger
    work: Callable[[float], Awaitable[None]]
    """Called with UTC (Unix s)."""
    at_start: bool = False
    """Also once when the process starts."""


@dataclass(slots=True)
class Housekeeping:
    """Runs jobs at their times, one after the other."""

    jobs: Sequence[Job]
    clock: Clock
    troubles: dict[str, str] = field(default_factory=dict)
    """Job -> why its last run failed, in words."""

    async def run(self) -> None:
        """Serve until cancelled."""
        now = self.clock.utc()
        due = {job.name: now if job.at_start else _next(job.trigger, now) for job in self.jobs}
        while True:
            now = self.clock.utc()
            for job in self.jobs:
                if due[job.name] <= now:
                    await self._do(job, now)
                    due[job.name] = _next(job.trigger, now)
            await asyncio.sleep(max(0.0, min(LOOK_S, *(at - now for at in due.values()))))

    async def _do(self, job: Job, now: float) -> None:
        try:
            await job.work(now)
        except (GatewayError, OSError) as error:
            self.troubles[job.name] = str(error)
            log.warning("housekeeping failed", job=job.name, reason=str(error))
        else:
            self.troubles.pop(job.name, None)


def _next(trigger: BaseTrigger, now: float) -> float:
    """The trigger's next fire time after `now`, UTC (Unix s); never, for a trigger that has ended."""
    moment = datetime.fromtimestamp(now + 1e-3, UTC)
    fire: datetime | None = trigger.get_next_fire_time(None, moment)
    return float("inf") if fire is None else fire.timestamp()


class Expiry:
    """Days until each certificate ends, looked at every hour.

    Args:
        certificates: What people call it -> its file.
        wallets: Connection -> its credentials in use: their CA, CRL and the VTN's certificate are counted too.
    """

    def __init__(self, certificates: Mapping[str, Path], wallets: Mapping[str, Wallet] | None = None) -> None:
        self._certificates = certificates
        self._wallets = {} if wallets is None else wallets
        self.days_left: dict[str, float] = {}
        self._said: dict[str, int] = {}

    def notes(self) -> dict[str, list[str]]:
        """Connection -> what is wrong with its credentials now, in words; only those with something."""
        return {name: notes for name, wallet in self._wallets.items() if (notes := wallet.notes())}

    def job(self) -> Job:
        """Every hour, and at the start."""
        trigger = CronTrigger(minute=7, timezone=UTC)
        return Job(name="certificates", trigger=trigger, work=self._look, at_start=True)

    async def _look(self, now: float) -> None:
        for name, wallet in self._wallets.items():
            for what, at in wallet.ends().items():
                if what != "own":
                    self.days_left[f"{name} {what}"] = (at - now) / DAY_S
        missing: IdentityError | None = None
        for name, path in self._certificates.items():
            try:
                self.days_left[name] = (facts(read_certificate(path)).not_after - now) / DAY_S
            except IdentityError as error:  # one file that cannot be read hides none of the others
                missing = missing or error
        self._say()
        if missing is not None:
            raise missing

    def _say(self) -> None:
        """One line in the log for each step that is reached."""
        for name, days in self.days_left.items():
            step = expiry_step(days)
            if step is None:
                self._said.pop(name, None)
            elif self._said.get(name) != step:
                self._said[name] = step
                log.warning("certificate runs out", certificate=name, days=round(days, 1))


def retention_job(
    journal: Journal, telemetry: TelemetryStore, *, ticks_days: float, telemetry_days: float
) -> Job:
    """Every night: old ticks into the archives, old samples away; in pieces, so that no tick of the clock waits."""

    async def work(now: float) -> None:
        retention = Retention(journal)
        for _ in iter(lambda: retention.compact(now - ticks_days * DAY_S), 0):
            await asyncio.sleep(0)
        for _ in iter(lambda: telemetry.forget(now - telemetry_days * DAY_S), 0):
            await asyncio.sleep(0)

    return Job(name="retention", trigger=CronTrigger(hour=18, minute=10, timezone=UTC), work=work)
