"""What the VEN says of a list of events, in English and Japanese: a part of `catalogue_said`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EVENTS_SAID: Final[Mapping[str, tuple[str, str]]] = {
    "said.event": ("event {id}", "イベント {id}"),
    "said.event_more": (
        "{count} more remarks on the list of events",
        "イベント一覧について、ほかに {count} 件の指摘",
    ),
    "said.event_early": (
        "the VTN says active, by our clock it begins in {by} s",
        "VTN では実施中だが、こちらの時計では開始まで {by} 秒",
    ),
    "said.event_late": (
        "the VTN says active, by our clock it ended {by} s ago",
        "VTN では実施中だが、こちらの時計では {by} 秒前に終了",
    ),
    "said.event_pending": (
        "the VTN says {status}, by our clock it began {by} s ago",
        "VTN では {status} だが、こちらの時計では {by} 秒前に開始",
    ),
    "said.event_endless": (
        "the VTN says completed, the event has no end",
        "VTN では終了だが、終了時刻のないイベントである",
    ),
    "said.event_completed": (
        "the VTN says completed, by our clock it ends in {by} s",
        "VTN では終了だが、こちらの時計では終了まで {by} 秒",
    ),
    "said.event_created": ("created {by} s in our future", "作成時刻がこちらの時計より {by} 秒先"),
    "said.event_current": (
        "currentValue is not 0 while the event is pending",
        "開始前なのに currentValue が 0 でない",
    ),
    "said.event_notice": (
        "told {by} s before its start, its notification is {notice} s",
        "開始の {by} 秒前に届いた(通知期間は {notice} 秒)",
    ),
    "said.event_ramp": (
        "a setpoint has no ramp, it is asked in full from dtstart to the end",
        "目標値指令にはランプを付けられず、開始から終了まで全量を求める",
    ),
    "said.event_overlap": (
        "events {one} and {other} overlap in one market context",
        "同じマーケットコンテキストでイベント {one} と {other} が重なっている",
    ),
    "said.event_overlap_rule": (
        "priority decides, then the one that is active first",
        "優先度、次に開始の早いほうを優先する",
    ),
    "said.event_twice": (
        "the same eventID stands twice in one list",
        "同じ eventID が一覧に二度ある",
    ),
    "said.event_ending": (
        "cancelled and active, ends by draw at {at}",
        "取り消し済みだが実施中、抽選により {at} に終了",
    ),
    "said.event_test": (
        "test event, not carried out",
        "テストイベント(実行しない)",
    ),
}
