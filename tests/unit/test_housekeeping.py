"""Housekeeping in virtual time: at its hours, once after a gap, and a failure is named and not repeated in a rush."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from apscheduler.triggers.cron import CronTrigger
from structlog.testing import capture_logs

from vpp_gateway.clock import LoopClock, SeededRng, SystemClock
from vpp_gateway.compose_centre import certificates
from vpp_gateway.console.alarms import expiring
from vpp_gateway.domain.fact import FACT_TYPES, Tick
from vpp_gateway.domain.reading import Snapshot
from vpp_gateway.errors import JournalError
from vpp_gateway.housekeeping import DAY_S, Expiry, Housekeeping, Job, retention_job
from vpp_gateway.identity import make_dev_ca
from vpp_gateway.journal.records import FactCodec
from vpp_gateway.journal.store import Journal
from vpp_gateway.journal.telemetry import TelemetryStore
from vpp_gateway.northbound.openadr2.wallet import Papers, Wallet
from vpp_gateway.settings import OpenAdr2Settings
from vpp_gateway.sim.loop import VirtualLoop, run

MIDNIGHT = datetime(2026, 6, 1, tzinfo=UTC).timestamp()


def keep_house(*jobs: Job, seconds: float, loop: VirtualLoop, clock: LoopClock) -> Housekeeping:
    house = Housekeeping(jobs, clock)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(house.run())
            await asyncio.sleep(seconds)
            task.cancel()

    run(main, loop=loop)
    return house


def test_a_job_runs_at_its_hours_and_its_failure_is_named_until_it_works_again() -> None:
    loop = VirtualLoop()
    clock = LoopClock(loop, MIDNIGHT - 1000.0)
    ran: list[float] = []

    async def work(now: float) -> None:
        ran.append(now - MIDNIGHT)
        if len(ran) == 1:
            raise JournalError("the disk is away")

    job = Job(name="rounds", trigger=CronTrigger(hour="3,5", minute=10, timezone=UTC), work=work)
    house = Housekeeping([job], clock)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(house.run())
            await asyncio.sleep(4 * 3600.0)
            assert house.troubles == {"rounds": "the disk is away"}
            await asyncio.sleep(22 * 3600.0)
            assert house.troubles == {}
            task.cancel()

    run(main, loop=loop)
    assert [round(at) for at in ran] == [3 * 3600 + 600, 5 * 3600 + 600]


@pytest.mark.parametrize(
    ("days", "severity"),
    [
        (60.1, None),
        (59.0, "warning"),
        (29.0, "warning"),
        (13.5, "alarm"),
        (6.9, "alarm"),
        (0.9, "trip"),
        (-3.0, "trip"),
    ],
)
def test_a_certificate_that_ends_is_named_step_by_step(days: float, severity: str | None) -> None:
    rows = expiring({"tso push": days})
    assert [row[1] for row in rows] == ([] if severity is None else [severity])


def test_each_step_is_an_alarm_of_its_own_so_that_it_is_heard_again() -> None:
    keys = [expiring({"tso": float(days)})[0][2] for days in range(59, -5, -1)]
    assert list(dict.fromkeys(keys)) == ["tso 60", "tso 30", "tso 14", "tso 7", "tso 1"]


def test_each_step_is_said_once_in_the_log(tmp_path: Path) -> None:
    loop = VirtualLoop()
    clock = LoopClock(loop, SystemClock().utc() - 1000.0)
    ca = make_dev_ca(tmp_path / "certs", now=clock.utc() - 3615 * DAY_S, vens=("ven",))  # ends in 35 days
    expiry = Expiry({"missing": tmp_path / "missing.pem", "tso": ca.ven_cert("ven")})
    with capture_logs() as lines:
        keep_house(expiry.job(), seconds=40 * DAY_S, loop=loop, clock=clock)
    said = [line["days"] for line in lines if line["event"] == "certificate runs out"]
    assert [round(days) for days in said] == [35, 30, 14, 7, 1] and said == sorted(said, reverse=True)


def test_the_certificate_of_our_own_address_is_watched(tmp_path: Path) -> None:
    row = OpenAdr2Settings.model_validate(
        {
            "protocol": "openadr2",
            "name": "tso",
            "program": "generic-2.0b",
            "vtn_url": "https://vtn.example/OpenADR2/Simple/2.0b",
            "ven_name": "ven-1",
            "tls": {"ca": "ca.pem", "cert": "ven.pem", "key": "ven.key"},
            "push": {
                "port": 8443,
                "public_url": "https://ven.example:8443/OpenADR2/Simple/2.0b",
                "cert": "push.pem",
                "key": "push.key",
            },
        },
        context={"base": tmp_path},
    )
    assert certificates([row]) == {"tso": tmp_path / "ven.pem", "tso push": tmp_path / "push.pem"}


def test_days_left_of_a_certificate(tmp_path: Path) -> None:
    loop = VirtualLoop()
    clock = LoopClock(loop, SystemClock().utc() - 1000.0)
    ca = make_dev_ca(tmp_path / "certs", now=clock.utc(), vens=("ven",))
    expiry = Expiry({"tso": ca.ven_cert("ven"), "nobody": tmp_path / "missing.pem"})
    house = keep_house(expiry.job(), seconds=2 * 3600.0, loop=loop, clock=clock)
    assert 3640 < expiry.days_left["tso"] < 3660
    assert "missing.pem" in house.troubles["certificates"]


def test_old_ticks_leave_the_journal_at_night(tmp_path: Path) -> None:
    loop = VirtualLoop()
    clock = LoopClock(loop, MIDNIGHT - 1000.0)
    with Journal.open(tmp_path / "journal.db", FactCodec(FACT_TYPES)) as journal:
        for n in range(1200):
            at = MIDNIGHT - 10 * DAY_S + n * 600.0
            journal.append([Tick(at=at, snapshot=Snapshot(at=at, sites=()))], durable=False)
        journal.flush()
        with TelemetryStore.open(tmp_path / "telemetry.db", ()) as telemetry:
            job = retention_job(journal, telemetry, ticks_days=7.0, telemetry_days=60.0)
            keep_house(job, seconds=DAY_S, loop=loop, clock=clock)
        ticks = [record for record in journal.records() if record.kind == "Tick"]
    assert 0 < len(ticks) < 1200
    assert min(tick.at for tick in ticks) >= MIDNIGHT + 18 * 3600.0 - 7 * DAY_S
    assert list(tmp_path.glob("journal.ticks-*.db"))


def test_the_ca_the_crl_and_the_vtn_are_counted_too_and_notes_are_named(tmp_path: Path) -> None:
    loop = VirtualLoop()
    clock = LoopClock(loop, SystemClock().utc() - 1000.0)
    ca = make_dev_ca(tmp_path / "certs", now=clock.utc(), vens=("ven", "other"))
    wallet = Wallet(
        Papers(ca=ca.ca, cert=ca.ven_cert("ven"), key=ca.ven_key("ven")), clock=clock, rng=SeededRng(1)
    )
    expiry = Expiry({"tso": ca.ven_cert("ven")}, {"tso": wallet})
    keep_house(expiry.job(), seconds=60.0, loop=loop, clock=clock)
    assert set(expiry.days_left) == {"tso", "tso CA"} and expiry.notes() == {}
    ca.ven_key("ven").write_bytes(ca.ven_key("other").read_bytes())
    assert not wallet.renew()
    assert "is not the key of the certificate" in expiry.notes()["tso"][0]
