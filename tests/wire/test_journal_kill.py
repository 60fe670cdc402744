"""`kill -9` at any moment: every acknowledged durable record is there, in order, and the chain is whole.

    parent  --start-->  writer: append one durable fact and some ticks, over and over
            <--seq----          the fact's number, only after append returned
            --SIGKILL->         at a random acknowledgement

`JOURNAL_KILLS=1000` for a longer campaign.
"""

from __future__ import annotations

import multiprocessing
import os
import random
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from tests.unit.journal_facts import CODEC, T0, lost, tick
from vpp_gateway.domain.fact import Lost, Tick
from vpp_gateway.errors import JournalError
from vpp_gateway.journal.archive import Retention, verify_archives
from vpp_gateway.journal.store import Journal

KILLS = int(os.environ.get("JOURNAL_KILLS", "30"))


def write_until_killed(path: Path, acknowledge: Connection) -> None:
    with Journal.open(path, CODEC, reserve_bytes=0) as journal:
        if journal.problem:
            raise AssertionError(journal.problem)
        seq = max(
            (record.fact.seq for record in journal.records() if isinstance(record.fact, Lost)), default=0
        )
        retention = Retention(journal)
        while True:
            seq += 1
            for n in range(3):
                journal.append([tick(T0 + seq + n / 10)], durable=False)
            journal.append([lost(T0 + seq, seq)])
            acknowledge.send(seq)
            if seq % 7 == 0:
                retention.compact(T0 + seq - 50)
            if seq % 11 == 0:
                journal.flush()


def run_until_killed(path: Path, acknowledgements: int) -> int:
    """Last number that the writer acknowledged before it was killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ours, theirs = context.Pipe(duplex=False)
    writer = context.Process(target=write_until_killed, args=(path, theirs))
    writer.start()
    theirs.close()
    last = 0
    try:
        for _ in range(acknowledgements):
            last = ours.recv()
        with pytest.raises(JournalError, match=f"held by the process with pid {writer.pid}"):
            Journal.open(path, CODEC)
    finally:
        writer.kill()
        writer.join()
    try:
        while True:  # what it acknowledged before the signal arrived
            last = ours.recv()
    except EOFError:
        ours.close()
        return last


def test_no_acknowledged_fact_is_lost_to_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    chance = random.Random("kill -9")
    archived = 0
    for kill in range(KILLS):
        acknowledged = run_until_killed(path, chance.randint(1, 40))
        with Journal.open(path, CODEC, reserve_bytes=0) as journal:
            assert journal.problem == "", f"after kill {kill}"
            facts = [record.fact for record in journal.records()]
            numbers = [fact.seq for fact in facts if isinstance(fact, Lost)]
            assert numbers == list(range(1, len(numbers) + 1))
            assert acknowledged <= len(numbers) <= acknowledged + 1
            assert journal.head[0] == 4 * len(numbers)
            assert verify_archives(journal).problem == ""
            archived = journal.head[0] - len(facts)
    assert archived > 0 or KILLS < 10, "no kill met an archive"
    assert [fact for fact in facts if isinstance(fact, Tick)]
