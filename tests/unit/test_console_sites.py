"""What an operator sees of a site with two meters: which one is followed, what is wrong, and how urgent it is."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tests.unit.checked_sites import HERE, READER, Watched, load_w
from tests.unit.console_fake import World
from vpp_gateway.cli.status_view import draw_status
from vpp_gateway.console import alarms
from vpp_gateway.console.sites import SiteViews
from vpp_gateway.console.status import MeterView, SiteView
from vpp_gateway.domain.reading import Health
from vpp_gateway.plain import View

HOLD_S = 900.0


def view(watched: Watched) -> SiteView:
    return SiteViews(watched.gateway, watched.now).of(watched.state)


def check(site: SiteView) -> MeterView:
    assert site.check_meter is not None
    return site.check_meter


def raised(site: SiteView) -> list[tuple[str, str]]:
    return [(code, severity) for code, severity, _, _ in alarms.of_site(site, HOLD_S)]


def said(site: SiteView, lang: str = "en") -> list[str]:
    dated = alarms.Alarms().dated(0.0, list(alarms.of_site(site, HOLD_S)))
    return [alarm.text if lang == "en" else alarm.text_ja for alarm in dated]


def test_two_good_meters_are_two_rows_and_nothing_to_say() -> None:
    watched = Watched()
    watched.seconds(5)
    site = view(watched)
    assert (site.sight, site.alone, site.health, site.reason) == ("meter", False, Health.GOOD, "")
    assert check(site).health is Health.GOOD and check(site).read_by == READER
    assert check(site).import_w == site.meter.import_w == site.import_w == load_w(watched.now)
    assert check(site).age_s == 0.0 and raised(site) == []


def test_a_meter_that_is_replaced_is_a_warning() -> None:
    watched = Watched()
    watched.seconds(5)
    watched.seconds(5, meter_w=None)
    site = view(watched)
    assert (site.sight, site.health, site.import_w) == ("check", "warning", load_w(watched.now))
    assert site.meter.health is Health.LOST and site.meter.import_w is None
    assert site.reason == f"{HERE}/meter: not connected; its check meter is followed"
    assert site.reason_ja == f"{HERE}/meter: 未接続; 副計器に従う"
    assert raised(site) == [("check_followed", "warning")]
    assert said(site) == [
        f"Site {HERE} is seen by its check meter {HERE}/check alone: {HERE}/meter: not connected"
    ]
    assert said(site, "ja") == [f"拠点 {HERE} は副計器 {HERE}/check だけで見ている: {HERE}/meter: 未接続"]


@pytest.mark.parametrize(
    ("meter_w", "words", "words_ja"),
    [(400_000.0, "stands still", "変わらない"), ("reversed", "opposite", "逆の値")],
)
def test_a_meter_that_answers_what_is_not_true_is_implausible(
    meter_w: float | str, words: str, words_ja: str
) -> None:
    watched = Watched()
    watched.seconds(5)
    watched.seconds(6, meter_w=meter_w)
    site = view(watched)
    assert site.sight == "check" and site.health == "warning"
    assert site.meter.health is Health.IMPLAUSIBLE
    assert words in site.meter.reason and words_ja in site.meter.reason_ja
    assert site.meter.import_w == (400_000.0 if meter_w == 400_000.0 else -load_w(watched.now))
    assert raised(site) == [("check_followed", "warning")]


def test_one_late_reading_is_no_alarm() -> None:
    watched = Watched()
    watched.seconds(5)
    watched.seconds(2, meter_w=400_000.0)
    site = view(watched)
    assert site.sight == "check" and site.health is Health.GOOD and site.reason == "" and raised(site) == []


def test_both_gone_is_as_bad_as_one_that_was_alone() -> None:
    watched = Watched()
    watched.seconds(5)
    watched.seconds(5, meter_w=None, check_w=None)
    site = view(watched)
    assert (site.sight, site.health, site.import_w) == ("", Health.LOST, None)
    assert site.reason == f"{HERE}/meter: not connected"
    assert raised(site) == [("check_meter", "warning"), ("device", "alarm")]


@pytest.mark.parametrize(
    ("check_w", "words"), [(400_000.0, "stands still"), ("reversed", "opposite"), (250_000.0, "differ")]
)
def test_a_check_meter_that_is_not_believed_is_a_warning(check_w: float | str, words: str) -> None:
    watched = Watched()
    watched.seconds(5)
    for n in range(6):
        moving = check_w + n if check_w == 250_000.0 and isinstance(check_w, float) else check_w
        watched.seconds(1, check_w=moving)
    site = view(watched)
    assert (site.sight, site.health) == ("meter", "warning") and site.meter.health is Health.GOOD
    assert check(site).health is Health.IMPLAUSIBLE and words in check(site).reason
    assert raised(site) == [("check_meter", "warning")]
    assert "seen by its meter alone" in said(site)[0] and "副計器" in said(site, "ja")[0]
    assert ".." not in said(site)[0] and "meter" not in said(site, "ja")[0]


def test_a_check_meter_whose_reader_is_away_says_so() -> None:
    watched = Watched()
    watched.seconds(5)
    watched.seconds(5, gone=(READER,))
    site = view(watched)
    assert (site.sight, site.health) == ("meter", "warning")
    assert check(site).health is Health.LOST and check(site).import_w is None
    assert check(site).reason == (f"read by {READER}, whose agent is not linked; no readings from the site")
    assert READER in check(site).reason_ja and "agent" not in check(site).reason_ja
    assert raised(site) == [("check_meter", "warning")]


def test_a_dead_agent_is_an_alarm_although_its_site_is_seen() -> None:
    watched = Watched()
    watched.seconds(5)
    watched.cut("the site agent closed the link", silent=False)
    watched.seconds(5, gone=(HERE,))
    site = view(watched)
    assert (site.linked, site.sight, site.health) == (False, "check", Health.LOST)
    assert site.import_w == load_w(watched.now) and site.regulation_w is not None and not site.alone
    assert site.reason == "the site agent closed the link; what flows is seen by its check meter"
    assert site.reason_ja == "拠点エージェントがリンクを閉じた; 受電電力は副計器で見ている"
    assert raised(site) == [("site_lost", "alarm"), ("check_followed", "warning")]


def test_an_agent_behind_a_silent_link_carries_on_alone_for_so_long() -> None:
    watched = Watched()
    watched.seconds(5)
    watched.cut("nothing heard for 5 s", silent=True)
    watched.seconds(5, gone=(HERE,), check_w=None)
    site = view(watched)
    assert site.alone and site.sight == "" and site.import_w is None
    assert site.reason.endswith("; its agent is taken to carry on alone")
    assert site.reason_ja.endswith("; 拠点エージェントは自律継続しているとみなす")
    assert raised(site) == [("site_alone", "alarm"), ("check_meter", "warning")]
    assert "for up to 900 s" in said(site)[0] and "自律して" in said(site, "ja")[0]
    watched.now += HOLD_S
    late = view(watched)
    assert not late.alone and raised(late)[0] == ("site_lost", "alarm")


@pytest.mark.parametrize(
    ("lang", "heading", "followed"), [("en", "seen by", "check meter"), ("ja", "計測元", "副計器")]
)
def test_the_command_line_shows_what_is_followed(lang: str, heading: str, followed: str) -> None:
    def drawn(*, checked: bool) -> str:
        screen = io.StringIO()
        picture = View(World(1.8e9, faulty=False, checked=checked).picture(1.8e9).model_dump(mode="json"))
        console = Console(file=screen, width=120, no_color=True)
        draw_status(console, picture, "ja" if lang == "ja" else "en", degraded=False)
        return screen.getvalue()

    shown = drawn(checked=True)
    row = next(line for line in shown.splitlines() if line.startswith("kanagawa-1 "))
    assert heading in shown and followed in row and "▲" in row
    assert "kanagawa-1-meter" in shown and heading not in drawn(checked=False)
