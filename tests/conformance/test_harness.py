"""The harness itself: its grammar, its literal VTN, its filters, its report; and that it fails whom it must fail."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from lxml import etree

from tests.playbook.ven_stage import xsd
from vpp_gateway.cli import root
from vpp_gateway.clock import SeededRng, SystemClock, SystemRng
from vpp_gateway.conform.openadr2.filters import Wire
from vpp_gateway.conform.openadr2.others import Command, OpenLeadrVen
from vpp_gateway.conform.openadr2.procedure import Mutant, Procedure, load
from vpp_gateway.conform.openadr2.run import Result, play, play_own
from vpp_gateway.conform.openadr2.say import MESSAGES, build
from vpp_gateway.conform.openadr2.subject import NotPossible
from vpp_gateway.conform.openadr2.vtn import LiteralVtn, Script
from vpp_gateway.conform.openadr2.words import Scene, date
from vpp_gateway.conform.openadr2.xml import Alteration, ProcedureError, alter, name_of, values
from vpp_gateway.conform.report import ConformReport
from vpp_gateway.yaml_source import InvalidFile

T0 = 1_767_225_600.0
SCENE = Scene(
    t0=T0,
    now=T0,
    vtn_id="VTN-1",
    ven_id="VEN-1",
    registration_id="REG-1",
    request_id="Q",
    answers="A",
    names={"opt": "O-1"},
)


def procedure(steps: list[dict[str, object]], **changes: object) -> Procedure:
    given = {
        "id": "Test-one",
        "title": "one",
        "rules": ["12"],
        "service": "EiEvent",
        "steps": steps,
        "mutants": [{"name": "mute", "from_ven": [{"on": "oadrPoll", "drop": True}]}],
        **changes,
    }
    return Procedure.model_validate(given)


# -- words ------------------------------------------------------------------------------------------------------


NEEDED: dict[str, dict[str, object]] = {
    "oadrCreateReport": {"requests": [{"rids": ["a"]}]},
    "oadrCancelReport": {"ids": ["R"]},
}


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_of_the_vtn_is_valid(name: str) -> None:
    assert xsd().validate(build({name: NEEDED.get(name, {})}, SCENE)), xsd().error_log


def test_an_event_with_everything_is_valid_and_says_it() -> None:
    event = {
        "id": "E",
        "start": 60,
        "duration": 120,
        "priority": 1,
        "startafter": 30,
        "ramp_up": -10,
        "notification": 5,
        "recovery": 7,
        "test": "true",
        "comment": "<b>",
        "target": {"ven": "{ven_id}", "group": ["g"], "resource": ["r"], "party": "p", "device": ["d"]},
        "signals": [
            {"name": "SIMPLE", "type": "level", "current": "0", "intervals": [{"duration": 120, "value": 1}]},
            {"unit": "kW", "target": {"resource": ["r"]}, "intervals": [{"duration": 120, "value": -5}]},
        ],
    }
    tree = build({"oadrDistributeEvent": {"events": [event]}}, SCENE)
    assert xsd().validate(tree), xsd().error_log
    assert values(tree, "//ei:eiActivePeriod//xcal:dtstart/xcal:date-time") == [date(T0 + 60)]
    assert values(tree, "//ei:x-eiRampUp/xcal:duration") == ["-PT10S"]
    assert values(tree, "//ei:eiEvent/ei:eiTarget/ei:venID") == ["VEN-1"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ({"oadrDistributeEvent": {"event": []}}, "oadrDistributeEvent: unknown event"),
        ({"oadrDistributeEvent": {"events": [{"id": "A", "colour": "red"}]}}, "events[0]: unknown colour"),
        ({"oadrDance": {}}, "found oadrDance"),
        ({}, "found none"),
        ({"oadrDistributeEvent": {"events": [{"unit": "hp"}]}}, "found hp"),
    ],
)
def test_a_wrong_word_is_named(words: dict[str, object], named: str) -> None:
    with pytest.raises(ProcedureError) as error:
        build(words, SCENE)
    assert named in str(error.value)


def test_alterations() -> None:
    tree = build({"oadrResponse": {}}, SCENE)
    changes = (
        Alteration(set="//ei:responseCode", to="452"),
        Alteration(remove="//ei:responseDescription"),
        Alteration(repeat="//ei:venID"),
        Alteration(insert="<ei:vtnID>x</ei:vtnID>", into="//oadr:oadrResponse", at=0),
        Alteration(attribute="//oadr:oadrResponse", name="xsi:schemaLocation", to="a b"),
    )
    assert alter(tree, changes)
    assert values(tree, "//ei:responseCode") == ["452"] and values(tree, "//ei:responseDescription") == []
    assert values(tree, "//ei:venID") == ["VEN-1", "VEN-1"]
    assert values(tree, "name(//oadr:oadrResponse/*[1])") == ["ei:vtnID"]
    assert values(tree, "//oadr:oadrResponse/@xsi:schemaLocation") == ["a b"]
    assert not alter(tree, (Alteration(remove="//ei:nothing"),))
    with pytest.raises(ProcedureError):
        alter(tree, (Alteration(set="//["),))
    with pytest.raises(ValueError, match="exactly one"):
        Alteration(set="//a", remove="//b")


# -- the literal VTN --------------------------------------------------------------------------------------------


def vtn() -> LiteralVtn:
    return LiteralVtn(rng=SeededRng(1), schema=xsd(), t0=T0)


def ven_says(name: str, inside: str) -> etree._Element:
    tree = build({"oadrResponse": {}}, SCENE)
    message = tree[0][0]
    message.tag = message.tag.replace("oadrResponse", name)
    for child in list(message):
        message.remove(child)
    change = Alteration(insert=inside, into=f"//oadr:{name}") if inside else None
    if change is not None:
        alter(tree, (change,))
    return tree


POLL = "<ei:venID>VEN-1</ei:venID>"
REGISTER = (
    "<pyld:requestID>1</pyld:requestID><oadr:oadrProfileName>2.0b</oadr:oadrProfileName>"
    "<oadr:oadrTransportName>simpleHttp</oadr:oadrTransportName><oadr:oadrReportOnly>false</oadr:oadrReportOnly>"
    "<oadr:oadrXmlSignature>false</oadr:oadrXmlSignature>"
)


def test_it_registers_answers_polls_and_watches_their_pace() -> None:
    one = vtn()
    before = one.hear("OadrPoll", ven_says("oadrPoll", POLL), T0)
    assert before.tree is not None and values(before.tree, "//ei:responseCode") == ["463"]
    one.hear("EiRegisterParty", ven_says("oadrCreatePartyRegistration", REGISTER), T0 + 1)
    assert one.registered
    for at in (2, 12, 15):
        answer = one.hear("OadrPoll", ven_says("oadrPoll", POLL), T0 + at)
        assert answer.tree is not None and name_of(answer.tree) == "oadrResponse"
    assert [(breach.rule, breach.what) for breach in one.breaches] == [
        ("54", "polled after 3.00 s; the VTN asked for 10 s")
    ]


@pytest.mark.parametrize(
    ("times", "broken"),
    [((0, 10.4, 20, 30.3, 40), 0), ((0, 9.4), 1), ((0, 9.8, 19.6, 29.4), 1), ((0, 9.9, 20, 30), 0)],
)
def test_a_late_poll_brings_the_next_one_near_but_a_fast_pace_adds_up(
    times: tuple[float, ...], broken: int
) -> None:
    one = vtn()
    one.hear("EiRegisterParty", ven_says("oadrCreatePartyRegistration", REGISTER), T0)
    for at in times:
        one.hear("OadrPoll", ven_says("oadrPoll", POLL), T0 + at)
    assert [breach.rule for breach in one.breaches] == ["54"] * broken


@pytest.mark.parametrize(
    ("name", "service", "inside", "rule"),
    [
        ("oadrPoll", "EiEvent", POLL, "53"),
        ("oadrPoll", "OadrPoll", "<ei:venID>VEN-2</ei:venID>", "21"),
        ("oadrPoll", "OadrPoll", "", "schema"),
        (
            "oadrCreatedEvent",
            "EiEvent",
            "<pyld:eiCreatedEvent><ei:eiResponse><ei:responseCode>200</ei:responseCode><pyld:requestID/>"
            "</ei:eiResponse><ei:venID>VEN-1</ei:venID></pyld:eiCreatedEvent>",
            "35",
        ),
        (
            "oadrCreatedEvent",
            "EiEvent",
            "<pyld:eiCreatedEvent><ei:eiResponse><ei:responseCode>200</ei:responseCode><pyld:requestID/>"
            "</ei:eiResponse><ei:eventResponses><ei:eventResponse><ei:responseCode>200</ei:responseCode>"
            "<pyld:requestID>q</pyld:requestID><ei:qualifiedEventID><ei:eventID>E</ei:eventID>"
            "<ei:modificationNumber>0</ei:modificationNumber></ei:qualifiedEventID><ei:optType>optIn</ei:optType>"
            "</ei:eventResponse></ei:eventResponses><ei:venID>VEN-1</ei:venID></pyld:eiCreatedEvent>",
            "12",
        ),
    ],
)
def test_a_breach_of_a_law_is_named(name: str, service: str, inside: str, rule: str) -> None:
    one = vtn()
    one.hear("EiRegisterParty", ven_says("oadrCreatePartyRegistration", REGISTER), T0)
    one.hear(service, ven_says(name, inside), T0 + 1)
    assert rule in {breach.rule for breach in one.breaches}


# -- filters ----------------------------------------------------------------------------------------------------


def test_filters_drop_repeat_alter_and_hold() -> None:
    mutant = Mutant.model_validate(
        {
            "name": "m",
            "from_ven": [{"on": "oadrPoll", "times": 2, "after": 1}],
            "to_ven": [{"on": "oadrDistributeEvent", "hold_events": True}],
        }
    )
    wire = Wire(mutant)
    poll = ven_says("oadrPoll", POLL)
    assert [len(wire.heard(poll)) for _ in range(3)] == [1, 2, 2]
    listed = build({"oadrDistributeEvent": {"events": [{"id": "A"}]}}, SCENE)
    assert wire.said(listed) is not None
    held = wire.said(build({"oadrDistributeEvent": {}}, SCENE))
    assert held is not None and values(held, "//ei:eventID") == ["A"]
    assert wire.touched == 4


# -- verdicts ---------------------------------------------------------------------------------------------------


def verdict(steps: list[dict[str, object]], **changes: object) -> Result:
    return play_own(procedure(steps, **changes), None, xsd())


def test_what_does_not_come_fails_with_step_and_rule() -> None:
    result = verdict([{"do": "register"}, {"do": "expect", "message": "oadrCreatedEvent"}])
    assert result.verdict == "fail"
    assert result.reason.startswith("rule 12: step 2 (expect): expected oadrCreatedEvent within 25 s")


def test_what_must_not_come_fails() -> None:
    result = verdict([{"do": "register"}, {"do": "silence", "message": "oadrPoll", "for_s": 30}])
    assert result.verdict == "fail" and "expected no oadrPoll" in result.reason


@pytest.mark.parametrize(
    ("check", "holds"),
    [
        ({"equals": "VEN-1"}, True),
        ({"equals": "VEN-2"}, False),
        ({"equals": "{ven_id}"}, True),
        ({"differs": "VEN-1"}, False),
        ({"matches": "VEN-[0-9]"}, True),
        ({"matches": "VEN"}, False),
        ({"one_of": ["VEN-1", "x"]}, True),
        ({"one_of": ["x"]}, False),
        ({"count": 1}, True),
        ({"count": 0}, False),
        ({"at_least": 1}, False),
    ],
)
def test_checks(check: dict[str, object], holds: bool) -> None:
    step = {"do": "expect", "message": "oadrPoll", "within_s": 30, "checks": [{"at": "//ei:venID", **check}]}
    assert (verdict([{"do": "register"}, step]).verdict == "pass") is holds


def test_an_act_that_is_refused_fails_with_the_reason() -> None:
    result = verdict([{"do": "register"}, {"do": "prompt", "verb": "opt", "give": {"event": "nothing"}}])
    assert result.verdict == "fail" and "opt was refused: " in result.reason
    expected = {"at": "refused", "matches": ".+"}
    step = {"do": "prompt", "verb": "opt", "give": {"event": "nothing"}, "checks": [expected]}
    assert verdict([{"do": "register"}, step]).verdict == "pass"


def test_what_came_before_does_not_count_when_it_must_be_fresh() -> None:
    steps = [{"do": "register"}, {"do": "wait", "for_polls": 2}]
    old = {"do": "expect", "message": "oadrQueryRegistration", "within_s": 1}
    assert verdict([*steps, old]).verdict == "pass"
    assert verdict([*steps, {**old, "fresh": True}]).verdict == "fail"


def test_times_count_from_the_start_wherever_they_stand() -> None:
    tree = build({"oadrDistributeEvent": {"events": [{"id": "A", "start": "{at 60}"}]}}, SCENE)
    assert values(tree, "//ei:eiActivePeriod//xcal:date-time") == [date(T0 + 60).removesuffix("Z")]


def test_an_owed_answer_that_does_not_come_before_the_next_poll_is_a_breach_of_rule_64() -> None:
    one = vtn()
    one.hear("EiRegisterParty", ven_says("oadrCreatePartyRegistration", REGISTER), T0)
    one.say(Script(message={"oadrRequestReregistration": {}}))
    one.hear("OadrPoll", ven_says("oadrPoll", POLL), T0 + 1)
    assert "64" not in {breach.rule for breach in one.breaches}
    one.hear("OadrPoll", ven_says("oadrPoll", POLL), T0 + 20)
    assert [breach.what for breach in one.breaches if breach.rule == "64"] == [
        "polled before oadrResponse, owed to oadrRequestReregistration"
    ]


def test_a_late_message_comes_after_the_next_one_and_headers_can_be_changed() -> None:
    filters = [
        {"on": "oadrResponse", "late": True},
        {"on": "oadrPoll", "carried": {"Host": None, "tls": "TLSv1"}},
    ]
    wire = Wire(Mutant.model_validate({"name": "m", "from_ven": filters}))
    late = build({"oadrResponse": {}}, SCENE)
    assert wire.heard(late, {"service": "EiEvent"}) == [] and wire.overdue() == []
    (poll,) = wire.heard(ven_says("oadrPoll", POLL), {"service": "OadrPoll", "Host": "h"})
    assert poll.carried == {"service": "OadrPoll", "tls": "TLSv1"}
    (overdue,) = wire.overdue()
    assert name_of(overdue.tree) == "oadrResponse" and overdue.carried == {"service": "EiEvent"}
    assert wire.overdue() == []


def test_a_claim_that_the_ven_does_not_make_is_not_applicable() -> None:
    one = procedure([{"do": "register"}], needs=["opt"])
    result = asyncio.run(
        play(one, None, OpenLeadrVen(), clock=SystemClock(), rng=SystemRng(), xsd=xsd(), poll_s=1.0)
    )
    assert result.verdict == "not_applicable" and "opt" in result.reason


def test_a_procedure_that_asks_for_nonsense_is_an_error_not_a_verdict() -> None:
    steps = [{"do": "register"}, {"do": "say", "message": {"oadrDance": {}}}, {"do": "wait", "for_polls": 3}]
    with pytest.raises(ExceptionGroup) as error:
        verdict(steps)
    assert "Test-one: step 3 (wait)" in str(error.getrepr(style="short"))


# -- files ------------------------------------------------------------------------------------------------------


def test_a_wrong_file_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("procedures:\n  - id: A-1\n    title: t\n    rules: ['1']\n    servce: EiEvent\n")
    with pytest.raises(InvalidFile) as error:
        load([file])
    assert "x.yaml:5:5: procedures[0].servce: unknown key" in str(error.value)


# -- command ----------------------------------------------------------------------------------------------------


def test_the_command_writes_report_and_page(tmp_path: Path) -> None:
    report, page = tmp_path / "r.json", tmp_path / "r.html"
    arguments = ["conform", "openadr2", "--case", "EiEvent-R56-new", "--mutants"]
    done = CliRunner().invoke(root, [*arguments, "--json", str(report), "--html", str(page), "--lang", "ja"])
    assert done.exit_code == 0, done.output
    assert "合格" in done.output and "EiEvent-R56-new" in done.output
    read = ConformReport.model_validate_json(report.read_text())
    assert read.passed and read.virtual_time and read.procedures[0].verdict == "pass"
    mutants = [(one.name, one.rule, one.caught) for one in read.mutants]
    assert mutants == [("does not answer", "56", True), ("opts out of everything", "56", True)]
    assert all(one.reason for one in read.mutants)
    assert "再現した欠陥" in page.read_text() and "does not answer" in page.read_text()
    assert "適合テスト報告書" in page.read_text() and "<script" not in page.read_text()


def test_the_command_fails_where_a_procedure_fails(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        json.dumps(
            {"procedures": [procedure([{"do": "expect", "message": "oadrDance"}]).model_dump(mode="json")]}
        )
    )
    done = CliRunner().invoke(root, ["conform", "openadr2", "--procedures", str(tmp_path)])
    assert done.exit_code == 5 and "expected oadrDance" in done.output.replace("\n", " ")


def test_an_unknown_case_is_told() -> None:
    done = CliRunner().invoke(root, ["conform", "openadr2", "--case", "dance"])
    assert done.exit_code == 1 and "dance" in done.output


def test_the_list_tells_the_coverage() -> None:
    done = CliRunner().invoke(root, ["conform", "openadr2", "--list"])
    assert done.exit_code == 0 and "EiEvent-R61-implied-cancel" in done.output


def test_pics_are_told_by_the_code() -> None:
    done = CliRunner().invoke(root, ["conform", "pics", "--json"])
    assert done.exit_code == 0
    rows = {(row["topic"], row["item"]): row["value"] for row in json.loads(done.output)["pics"]}
    assert rows["message", "oadrDistributeEvent"] == "read and written"
    assert rows["signal", "LOAD_DISPATCH / setpoint"].startswith("setpoint")
    assert rows["service", "EiOpt"] == "supported"
    assert rows["report", "HISTORY_GREENBUTTON"].startswith("greenbutton, period 1 to")
    assert rows["transport", "simple HTTP"] == "pull, push; pull in this program"


# -- other VENs -------------------------------------------------------------------------------------------------

KNOWN_BREACHES = {
    "EiEvent-R61-implied-by-empty-list": "61",
    "EiEvent-R58-lower": "58",
    "EiEvent-R66-completed-unknown": "66",
    "EiEvent-R22-foreign-ven": "22",
    "EiRegisterParty-V5-any-vtn-id": "V5",
    "Transport-V1-doctype": "V1",
    "EiReport-V28-unknown-specifier": "V28",
}
"""What the reference names of openleadr's VEN: no implied cancellation, lower modifications taken, completed events
not answered, foreign targets taken, a numeric vtnID not understood, an order behind a DOCTYPE obeyed, an order for an
unknown numeric reportSpecifierID lost."""


def test_openleadrs_ven_is_found_out() -> None:
    """In processes of its own, all at once, in real time."""
    chosen = {one.id: one for one in load()}

    async def one(name: str) -> Result:
        return await play(
            chosen[name], None, OpenLeadrVen(), clock=SystemClock(), rng=SystemRng(), xsd=xsd(), poll_s=1.0
        )

    async def all_at_once() -> dict[str, Result]:
        names = (*KNOWN_BREACHES, "EiEvent-R56-new", "EiRegisterParty-query-create")
        async with asyncio.TaskGroup() as group:
            tasks = {name: group.create_task(one(name)) for name in names}
        return {name: task.result() for name, task in tasks.items()}

    results = asyncio.run(all_at_once())
    found = {name: results[name].verdict for name in KNOWN_BREACHES}
    assert found == dict.fromkeys(KNOWN_BREACHES, "fail"), {n: r.reason for n, r in results.items()}
    for name, rule in KNOWN_BREACHES.items():
        assert results[name].reason.startswith(f"rule {rule}:"), results[name].reason
    assert results["EiEvent-R56-new"].verdict == "pass", results["EiEvent-R56-new"].reason
    placeholders = {breach.rule for breach in results["EiRegisterParty-query-create"].breaches}
    assert "V9" in placeholders  # the transport address is the text None


def test_a_command_operates_a_ven(tmp_path: Path) -> None:
    script = tmp_path / "ven"
    script.write_text(
        '#!/bin/sh\n[ "$1" = dance ] && exit 3\nprintf \'{"verb": "%s", "give": %s}\' "$1" "$2"\n'
    )
    script.chmod(0o755)
    operator = Command(f"{script} {{verb}} {{give}}")
    answer = asyncio.run(operator.prompt("opt", {"event": "A b"}))
    assert answer == {"verb": "opt", "give": {"event": "A b"}}
    with pytest.raises(NotPossible, match="exit code 3"):
        asyncio.run(operator.prompt("dance", {}))


# -- how the VTN shows itself -----------------------------------------------------------------------------------


def test_a_vtn_that_cannot_show_itself_so_makes_a_procedure_not_applicable() -> None:
    at_once = verdict([{"do": "register"}], vtn={"tls": "stranger"})
    later = verdict([{"do": "register"}, {"do": "vtn", "sign": "none"}])
    assert (at_once.verdict, at_once.reason) == (
        "not_applicable",
        "the VTN has no certificate to show TLS stranger",
    )
    assert (later.verdict, later.reason) == ("not_applicable", "the VTN signs nothing")


def test_a_replay_of_nothing_is_an_error_of_the_procedure() -> None:
    with pytest.raises(ExceptionGroup) as error:
        verdict([{"do": "register"}], needs=["tls", "signed"], vtn={"sign": "replayed"})
    assert "nothing was said yet that could be said again" in str(error.getrepr(style="short"))
