"""Program: a campaign of random events. `python -m tests.campaign.run FIRST COUNT [--still] [--unchecked] [--jobs N] [--json FILE]`

One line per event as it ends, then the statistics, per cause of failure and altogether. `--still` plays the same
events without noise, shorter, and times the recovery. `--unchecked` leaves the check meters of the sites out. An event is played again alone by its number.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from tests.campaign.best import share_within
from tests.campaign.draw import NOTICE_S, SITES, Drawn, draw
from vpp_gateway.metering.delivery import within
from vpp_gateway.whatif.course import Course
from vpp_gateway.whatif.house import instruction_id, play_out
from vpp_gateway.whatif.judge import EventResult, judge, ok
from vpp_gateway.whatif.quiet import quiet_log

EXCUSED_S = 2.0
RECOVERED_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One event of the campaign, in numbers."""

    seed: int
    what: str
    how: str
    award_mw: float
    opt: str
    samples: int
    within: int
    within_before: int
    """Of the samples before the failure."""
    samples_before: int
    best_all: float
    best_seen: float
    unreported: int
    """Samples that fell short while the gateway took all for good."""
    believed_wrongly: int
    """Samples whose true and accounted delivery differ by more than 10 % of the award."""
    worst_share: float
    """Largest error of a counted sample, as a share of the award."""
    recovery_s: float | None
    """Without noise: the longest time outside 5 % from the failure on; 0 when no sample was."""
    baseline_off_share: float
    """Of the award: how far the frozen baseline is from the mean of the true load."""
    trouble: str


def play_one(seed: int, *, still: bool = False, checked: bool = True) -> Outcome:
    """Play event number `seed` and judge it."""
    drawn = draw(seed, noise=not still, checked=checked)
    with quiet_log():
        course = play_out(drawn.play)
    excused = ((drawn.fault.at_s, drawn.fault.at_s + EXCUSED_S),)
    (result,) = judge(drawn.play, course, excused=excused)
    counted = result.counted
    before = [s for s in counted if s.at_s < drawn.fault.at_s]
    frozen_w = math.fsum(course.baselines.get(instruction_id(drawn.asked), {}).values())
    band = 0.1 * abs(drawn.award_w)
    return Outcome(
        seed=seed,
        what=drawn.fault.what,
        how=drawn.fault.how,
        award_mw=drawn.award_w / 1e6,
        opt=result.opt,
        samples=len(counted),
        within=sum(ok(s) for s in counted),
        within_before=sum(ok(s) for s in before),
        samples_before=len(before),
        best_all=share_within(drawn, course, frozen_w, excused, all=True),
        best_seen=share_within(drawn, course, frozen_w, excused, all=False),
        unreported=len(result.unreported),
        believed_wrongly=sum(
            s.believed_w is not None and abs(s.believed_w - s.delivered_w) > band for s in counted
        ),
        worst_share=max((abs(s.delivered_w - s.target_w) / abs(drawn.award_w) for s in counted), default=0.0),
        recovery_s=_recovery_s(drawn, result) if still else None,
        baseline_off_share=abs(frozen_w - _true_baseline_w(drawn, course)) / abs(drawn.award_w),
        trouble=course.trouble,
    )


def _recovery_s(drawn: Drawn, result: EventResult) -> float:
    """The longest time outside the band from the failure on, counted from the failure or the last good sample."""
    good_s = max(drawn.fault.at_s, NOTICE_S)
    longest = 0.0
    for sample in result.samples:
        if sample.at_s <= good_s:
            continue
        if within(sample.delivered_w, sample.target_w, RECOVERED_SHARE):
            good_s = sample.at_s
        else:
            longest = max(longest, sample.at_s - good_s)
    return longest


def _true_baseline_w(drawn: Drawn, course: Course) -> float:
    """Mean of the true load over the window just before the start."""
    since = NOTICE_S - drawn.play.policy.baseline_window_s
    loads = [
        math.fsum(s.sites[id].import_w + s.sites[id].battery_w for id in SITES)
        for s in course.seconds
        if since <= s.at_s < NOTICE_S
    ]
    return math.fsum(loads) / len(loads)


def line(row: Outcome) -> str:
    """One event for people."""
    share = row.within / max(row.samples, 1)
    recovery = "" if row.recovery_s is None else f" recovered after {row.recovery_s:.2f} s"
    return (
        f"{row.seed:5d} {row.what:8s} {row.how:9s} {row.award_mw:+6.2f} MW {row.opt:3s} within {share:7.2%} "
        f"(best {row.best_all:7.2%}, with our sensors {row.best_seen:7.2%}) worst {row.worst_share:5.0%} "
        f"unreported {row.unreported:3d} misjudged {row.believed_wrongly:3d}{recovery} {row.trouble}"
    )


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def summary(rows: Sequence[Outcome]) -> dict[str, float]:
    """Statistics over all samples of all events."""
    samples = max(sum(row.samples for row in rows), 1)
    recovered = [row.recovery_s for row in rows if row.recovery_s is not None]
    before = sum(row.samples_before for row in rows)
    return {
        "events": len(rows),
        "refused": sum(row.opt != "in" for row in rows),
        "samples": samples,
        "within": sum(row.within for row in rows) / samples,
        "within_before_failure": sum(row.within_before for row in rows) / max(before, 1),
        "within_after_failure": sum(row.within - row.within_before for row in rows)
        / max(samples - before, 1),
        "best_all": sum(row.best_all * row.samples for row in rows) / samples,
        "best_seen": sum(row.best_seen * row.samples for row in rows) / samples,
        "events_99": sum(row.within >= 0.99 * row.samples for row in rows) / max(len(rows), 1),
        "unreported": sum(row.unreported for row in rows),
        "misjudged": sum(row.believed_wrongly for row in rows),
        "recovery_p50_s": percentile(recovered, 0.5),
        "recovery_p99_s": percentile(recovered, 0.99),
    }


def table(rows: Sequence[Outcome]) -> str:
    """The statistics per cause and altogether, for people."""
    groups: dict[str, list[Outcome]] = {"all": list(rows)}
    for row in rows:
        groups.setdefault(f"{row.what} {row.how}", []).append(row)
        groups.setdefault("down" if row.award_mw > 0 else "up", []).append(row)
    lines = [
        "cause              events  within  before   after    best  sensors unrep. misj.  recovery p50/p99"
    ]
    for name, group in sorted(groups.items(), key=lambda item: item[0] != "all"):
        s = summary(group)
        lines.append(
            f"{name:18s} {s['events']:6.0f} {s['within']:7.2%} {s['within_before_failure']:7.2%} "
            f"{s['within_after_failure']:7.2%} {s['best_all']:7.2%} {s['best_seen']:8.2%} {s['unreported']:6.0f} "
            f"{s['misjudged']:5.0f}  {s['recovery_p50_s']:5.1f} / {s['recovery_p99_s']:.1f} s"
        )
    worst = sorted(rows, key=lambda row: row.within / max(row.samples, 1))[:10]
    lines += ["worst events:", *(line(row) for row in worst)]
    return "\n".join(lines)


def campaign(first: int, count: int, *, still: bool, jobs: int, checked: bool = True) -> list[Outcome]:
    """Play `count` events from number `first` on, `jobs` at a time."""
    rows = []
    with ProcessPoolExecutor(max_workers=jobs) as pool:
        for row in pool.map(partial(play_one, still=still, checked=checked), range(first, first + count)):
            print(line(row), flush=True)
            rows.append(row)
    return rows


def main(arguments: list[str]) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--still", action="store_true")
    parser.add_argument("--unchecked", action="store_true", help="no check meters")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    rows = campaign(given.first, given.count, still=given.still, jobs=given.jobs, checked=not given.unchecked)
    print(table(rows))
    if given.json is not None:
        document = {"summary": summary(rows), "events": [asdict(row) for row in rows]}
        given.json.write_text(json.dumps(document, indent=1), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
