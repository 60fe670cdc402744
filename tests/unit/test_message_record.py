"""The record of raw messages: bounded, compressed, never in the way; and the commands that read it."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.repository import ROOT
from vpp_gateway.cli import root
from vpp_gateway.domain.instruction import RoomName
from vpp_gateway.errors import JournalError
from vpp_gateway.journal.messages import FILE_NAME, MessageStore, read
from vpp_gateway.northbound.openadr2.messages import (
    BrokenEvent,
    DistributeEvent,
    Failed,
    Poll,
    Received,
    Response,
)
from vpp_gateway.northbound.openadr2.record import Exchange, LateRecorder, Scribe
from vpp_gateway.northbound.openadr2.report_words import EiResponse
from vpp_gateway.northbound.openadr2.rules import known, touched
from vpp_gateway.sim.vtn import dispatch

T0 = 1_767_225_600.0


def entry(n: int = 0, *, body: bytes = b"<a/>", **changes: object) -> Exchange:
    given: dict[str, object] = {
        "at": T0 + n,
        "room": RoomName("tso"),
        "direction": "out",
        "pair": f"p-{n}",
        "url": "https://vtn.example/OadrPoll",
        "name": "oadrPoll",
        "body": body,
        "schema": "valid",
        "signature": "none",
        "rules": ("1", "54"),
        **changes,
    }
    return Exchange(**given)  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / FILE_NAME


def opened(path: Path, **changes: object) -> MessageStore:
    given: dict[str, object] = {"max_bytes": 10**9, "max_days": 60.0, "keep_free_bytes": 0, **changes}
    return MessageStore.open(path, **given)  # type: ignore[arg-type]


def test_what_was_said_is_read_back_byte_by_byte(path: Path) -> None:
    body = "<a>日本 &amp; \x00</a>".encode()
    with opened(path) as store:
        store.record(entry(0, body=body, status=200, failure="refused: x"))
        store.record(entry(1))
        assert store.flush()
        first, second = read(path)  # while the store is open
    assert (first.body, first.status, first.failure, first.refused) == (body, 200, "refused: x", True)
    assert (first.at, first.room, first.pair, first.rules) == (T0, "tso", "p-0", ("1", "54"))
    assert not second.refused and second.id == first.id + 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_closing_writes_what_waits(path: Path) -> None:
    with opened(path) as store:
        for n in range(1500):
            store.record(entry(n))
    assert [row.at for row in read(path)] == [T0 + n for n in range(1500)]


def test_choosing(path: Path) -> None:
    with opened(path) as store:
        store.record(entry(0))
        store.record(entry(1, name="oadrResponse", direction="in"))
        store.record(entry(2, room=RoomName("dso"), failure="timeout: x", name=""))
    assert [row.at - T0 for row in read(path, since=T0 + 1)] == [1, 2]
    assert [row.at - T0 for row in read(path, until=T0 + 1)] == [0]
    assert [row.at - T0 for row in read(path, room="dso")] == [2]
    assert [row.at - T0 for row in read(path, name="oadrResponse")] == [1]
    assert [row.at - T0 for row in read(path, refused=True)] == [2]
    assert [row.at - T0 for row in read(path, limit=2)] == [1, 2]


def test_the_oldest_go_by_age(path: Path) -> None:
    with opened(path, max_days=1.0) as store:
        store.record(entry(0))
        store.flush()
        store.record(entry(86401))
    assert [row.at - T0 for row in read(path)] == [86401]


def test_the_oldest_go_by_size(path: Path) -> None:
    noise = [hashlib.sha256(str(n).encode()).digest() * 32 for n in range(1000)]
    with opened(path, max_bytes=100_000) as store:
        for n, body in enumerate(noise):
            store.record(entry(n, body=body + hashlib.sha512(body).digest() * (n % 3)))
            if n % 100 == 99:
                store.flush()
    kept = [int(row.at - T0) for row in read(path)]
    assert kept == list(range(kept[0], 1000)) and kept[0] > 100
    assert sum(len(row.body) for row in read(path)) > 0
    with opened(path, max_bytes=1000) as store:  # a smaller bound holds from the next message on
        store.record(entry(2000))
    assert len(list(read(path))) <= 1


def test_a_full_disk_costs_messages_and_is_told(path: Path) -> None:
    with opened(path, keep_free_bytes=2**62) as store:
        for n in range(3):
            store.record(entry(n))
        assert store.flush()
        assert "nearly full" in store.problem and "3 messages were not recorded" in store.problem
    assert list(read(path)) == []


def test_a_locked_file_is_told_and_recording_goes_on_later(path: Path) -> None:
    with opened(path) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        store.record(entry(0))
        assert store.flush()
        assert "locked" in store.problem
        other.execute("ROLLBACK")
        other.close()
        store.record(entry(1))
        assert store.flush()
        assert store.problem == "1 messages were not recorded"
    assert [row.at - T0 for row in read(path)] == [1]


def test_a_lower_bound_gives_the_disk_back(path: Path) -> None:
    with opened(path) as store:
        for n in range(3000):
            store.record(entry(n, body=hashlib.shake_128(str(n).encode()).digest(600)))
    before = path.stat().st_size
    with opened(path, max_bytes=100_000) as store:
        store.record(entry(4000))
    assert before > 2_000_000 and path.stat().st_size < 300_000
    assert [int(row.at - T0) for row in read(path)][-1] == 4000


def test_text_that_cannot_be_written_costs_its_batch_alone(path: Path) -> None:
    with opened(path) as store:
        store.record(entry(0, failure="unreachable: \udcff"))
        assert store.flush()
        assert "not recorded" in store.problem
        store.record(entry(1))
        assert store.flush()
        assert store.problem == "1 messages were not recorded"
    assert [row.at - T0 for row in read(path)] == [1]


def test_damage_inside_the_file_is_found_when_it_is_opened(path: Path) -> None:
    with opened(path) as store:
        for n in range(3000):
            store.record(entry(n, body=hashlib.shake_128(str(n).encode()).digest(600)))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096 * 40] = b"\xff" * 4096 * 40
    path.write_bytes(content)
    with opened(path) as store:
        assert "set aside as messages.bad.db" in store.problem
        store.record(entry(1))
    assert [row.at - T0 for row in read(path)] == [1]


def test_a_damaged_file_is_set_aside(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 100)
    with opened(path) as store:
        store.record(entry(0))
        assert "set aside as messages.bad.db" in store.problem
    assert len(list(read(path))) == 1


def test_what_cannot_be_opened_or_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(JournalError):
        opened(tmp_path / "file" / FILE_NAME)
    with pytest.raises(JournalError, match="no message record"):
        list(read(tmp_path / FILE_NAME))


def test_before_it_is_open_nothing_is_kept(path: Path) -> None:
    late = LateRecorder()
    late.record(entry(0))
    with opened(path) as store:
        late.recorder = store
        late.record(entry(1))
    assert [row.at - T0 for row in read(path)] == [1]


# -- entries ----------------------------------------------------------------------------------------------------


class Kept:
    def __init__(self) -> None:
        self.entries: list[Exchange] = []

    def record(self, exchange: Exchange) -> None:
        self.entries.append(exchange)


Act = Callable[[Scribe], None]


@pytest.mark.parametrize(
    ("outcome", "body", "verifies", "schema", "signature", "failure"),
    [
        (Received(number=1, message=Poll(ven_id="V")), b"<x/>", False, "valid", "none", ""),
        (
            Received(number=1, message=Poll(ven_id="V"), fingerprint="AA:BB"),
            b"<x/>",
            True,
            "valid",
            "verified AA:BB",
            "",
        ),
        (Received(number=1, message=None), b"", False, "", "", ""),
        (Failed(number=1, cause="timeout", detail="late"), b"", False, "", "", "timeout: late"),
        (Failed(number=1, cause="http", detail="503"), b"down", False, "", "", "http: 503"),
        (
            Failed(
                number=1,
                cause="refused",
                detail="expected one signature in oadrPayload, found 0 (unsigned message)",
            ),
            b"<x/>",
            True,
            "valid",
            "expected one signature in oadrPayload, found 0 (unsigned message)",
            "refused: expected one signature in oadrPayload, found 0 (unsigned message)",
        ),
        (
            Failed(number=1, cause="refused", detail="expected at most 9 bytes, found more"),
            b"<x/>",
            True,
            "",
            "",
            "refused: expected at most 9 bytes, found more",
        ),
        (Failed(number=1, cause="refused", detail="no XML"), b"<", False, "no XML", "", "refused: no XML"),
        (
            Failed(number=1, cause="refused", detail="signature: altered"),
            b"<x/>",
            True,
            "valid",
            "signature: altered",
            "refused: signature: altered",
        ),
    ],
)
def test_verdicts(
    outcome: Received | Failed, body: bytes, verifies: bool, schema: str, signature: str, failure: str
) -> None:
    kept = Kept()
    scribe = Scribe(kept, RoomName("tso"), verifies=verifies)
    scribe.heard(outcome, body, 200, at=T0, pair="p", url="u")
    (one,) = kept.entries
    assert (one.schema, one.signature, one.failure, one.direction) == (schema, signature, failure, "in")


def test_the_sessions_word_stands_with_the_message() -> None:
    """A replayed message is well-formed, valid and signed, and yet nothing is done with it."""
    kept = Kept()
    outcome = Received(number=1, message=Poll(ven_id="V"), fingerprint="AA:BB")
    Scribe(kept, RoomName("tso"), verifies=True).heard(
        outcome, b"<x/>", 200, at=T0, pair="p", url="u", refused="nonce used before"
    )
    (one,) = kept.entries
    assert (one.schema, one.signature, one.failure) == (
        "valid",
        "verified AA:BB",
        "judged: nonce used before",
    )


def test_rules_are_touched_by_content() -> None:
    event = dispatch("E", start_at=T0, duration_s=0, value=1, startafter_s=5, priority=1)
    message = DistributeEvent(request_id="", vtn_id="V", events=(event,))
    assert {"30", "47", "18", "44", "61", "56"} <= set(touched(message))
    assert "65" not in touched(message) and "6" not in touched(message)
    broken = BrokenEvent(event_id="B", modification=0, response_required=True, reason="x")
    assert "19" in touched(DistributeEvent(request_id="r", vtn_id="V", events=(broken,)))
    assert "48" in touched(Response(response=EiResponse(code="452")))
    assert "48" not in touched(Response(response=EiResponse(code="200")))


TLS_ALONE = {"67", "68", "342"}
"""Rules that no message can touch."""


def test_every_rule_of_the_conformance_page_can_be_touched() -> None:
    page = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    told = {
        rule
        for cell in re.findall(r"^\| ([0-9, ]+) \|", page, re.MULTILINE)
        for rule in re.findall(r"\d+", cell)
        if int(rule) < 453 or int(rule) > 470
    } - {"200", "450", "452"}
    assert told - TLS_ALONE <= known(), sorted(told - TLS_ALONE - known())


# -- commands ---------------------------------------------------------------------------------------------------


@pytest.fixture
def state(path: Path) -> Path:
    with opened(path) as store:
        store.record(entry(0, body=b'<a xmlns="u"><b>1</b></a>'))
        store.record(
            entry(
                1,
                direction="in",
                name="",
                body=b"\x1b[31mevil\x07 <",
                status=200,
                schema="no XML \x1b[2J",
                failure="refused: no XML \x1b[2J",
            )
        )
    return path.parent


def run(state: Path, *arguments: str) -> Result:
    return CliRunner().invoke(root, ["messages", *arguments, "--state-dir", str(state)])


def test_ls(state: Path) -> None:
    done = run(state, "ls")
    assert done.exit_code == 0 and "oadrPoll" in done.output and "\x1b[2J" not in done.output
    rows = json.loads(run(state, "ls", "--json").output)["messages"]
    assert [row["direction"] for row in rows] == ["out", "in"]
    assert [row["id"] for row in json.loads(run(state, "ls", "--refused", "--json").output)["messages"]] == [
        2
    ]
    assert "記録はありません" in run(state, "ls", "--room", "other", "--lang", "ja").output
    assert run(state, "ls", "--since", "2h").output.strip() == "no message on record that fits"
    assert "oadrPoll" in run(state, "ls", "--since", "2026-01-01T00:00:00Z").output


def test_show_is_safe_for_the_terminal(state: Path) -> None:
    good, evil = run(state, "show", "1"), run(state, "show", "2")
    assert good.exit_code == 0 and "  <b>1</b>" in good.output and "rules touched: 1 54" in good.output
    assert evil.exit_code == 0 and "\x1b" not in evil.output and "\\x1b[31mevil\\x07" in evil.output
    assert run(state, "show", "2", "--raw").stdout_bytes == b"\x1b[31mevil\x07 <"
    assert json.loads(run(state, "show", "1", "--json").output)["message"]["body"].startswith("<a")
    missing = run(state, "show", "9")
    assert missing.exit_code == 1 and "no message 9" in missing.output


def test_json_is_safe_for_the_terminal(path: Path) -> None:
    body = "<a>\x9b31m\x7f\u202e日本</a>"
    with opened(path) as store:
        store.record(entry(0, body=body.encode()))
    said = run(path.parent, "show", "1", "--json").output
    assert not {"\x9b", "\x7f", "\u202e"} & set(said) and "日本" in said
    assert json.loads(said)["message"]["body"] == body


def test_export_can_be_checked(state: Path, tmp_path: Path) -> None:
    where = tmp_path / "out.zip"
    done = run(state, "export", str(where))
    assert done.exit_code == 0 and "2 messages" in done.output
    with zipfile.ZipFile(where) as archive:
        index = json.loads(archive.read("index.json"))
        assert [row["name"] for row in index] == ["oadrPoll", ""]
        assert archive.read(index[0]["file"]) == b'<a xmlns="u"><b>1</b></a>'
        for line in archive.read("SHA256SUMS").decode().splitlines():
            digest, name = line.split("  ")
            assert hashlib.sha256(archive.read(name)).hexdigest() == digest
    again = run(state, "export", str(where))
    assert again.exit_code == 1 and "already" in again.output
    nowhere = run(state, "export", str(tmp_path / "no" / "out.zip"))
    assert nowhere.exit_code == 1 and "cannot be written" in nowhere.output


def test_errors(state: Path, tmp_path: Path) -> None:
    assert run(tmp_path / "other", "ls").exit_code == 1
    assert "no message record" in run(tmp_path / "other", "ls").output
    assert "expected a time" in run(state, "ls", "--since", "yesterday").output
