"""What the demo's world consists of, and what is played in it: numbers only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SITES: tuple[tuple[str, str, str, str], ...] = (
    ("tokyo-1", "Tokyo 1", "東京第一", "tokyo-east"),
    ("tokyo-2", "Tokyo 2", "東京第二", "tokyo-west"),
    ("kanagawa-1", "Kanagawa 1", "神奈川第一", "kanagawa"),
)
"""id, name, Japanese name, area: two data centres in Tokyo and one in Kanagawa, as in the field trial."""

BASE_W = 280_000.0
"""Load of each site besides the workers: cooling and rigid IT, modelled."""
SIGMA_W = 1_000.0
"""Standard deviation of that load (Ornstein-Uhlenbeck, 60 s)."""
JOBS_PER_SITE = 6
QUEUED_PER_SITE = 1
JOB_W = 12_000.0
"""Declared power of one worker at its nominal duty."""
DUTY = 0.022
"""Share of a core that one worker really burns."""
LOAD_WINDOW_S = 3.0
"""Over which the workers' duty is read: one that this machine kept waiting catches up within it."""
BATTERIES_PER_SITE = 2
BATTERY_W = 40_000.0
BATTERY_WH = 80_000.0
IMPORT_MAX_KW = 600.0
EXPORT_MAX_KW = 0.0
BASELINE_S = 8.0
POLL_S = 1
GRANULARITY_S = 1
"""The VTN orders telemetry of this granularity, s."""
REPORT_S = 5
"""The VTN orders a report every so many seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One event that an act sends."""

    regulation_w: float
    """> 0: down-DR."""
    site: str | None = None
    """None = the whole portfolio."""

    @property
    def direction(self) -> Literal["down", "up"]:
        """What the grid asks the load to do."""
        return "down" if self.regulation_w > 0 else "up"

    @property
    def scope(self) -> str:
        """Whom the order is for, in a word."""
        return self.site or "portfolio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What is played, one after the other."""

    title: str
    title_ja: str
    orders: tuple[Order, ...]


ACTS: tuple[Act, ...] = (
    Act(
        title="down-DR: the portfolio takes 150 kW less",
        title_ja="下げDR: 全拠点で 150 kW 減らす",
        orders=(Order(regulation_w=150_000.0),),
    ),
    Act(
        title="up-DR: the portfolio takes 130 kW more",
        title_ja="上げDR: 全拠点で 130 kW 増やす",
        orders=(Order(regulation_w=-130_000.0),),
    ),
    Act(
        title="area tokyo-1 down, area kanagawa-1 up: work moves",
        title_ja="東京第一を下げ、神奈川第一を上げる: ワークロードが移動する",
        orders=(
            Order(regulation_w=60_000.0, site="tokyo-1"),
            Order(regulation_w=-60_000.0, site="kanagawa-1"),
        ),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Timing of the acts, seconds."""

    notice_s: float
    """From sending an event to its start."""
    event_s: float
    gap_s: float
    """From the end of an act to the start of the next."""


HEADLESS = Pace(notice_s=6.0, event_s=24.0, gap_s=3.0)
WATCHED = Pace(notice_s=8.0, event_s=40.0, gap_s=10.0)
