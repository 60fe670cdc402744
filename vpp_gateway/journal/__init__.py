"""What has happened, durable and in order; and the raw samples beside it."""

from vpp_gateway.journal.archive import Retention, verify_archives
from vpp_gateway.journal.records import Dated, FactCodec
from vpp_gateway.journal.recover import VerifyResult
from vpp_gateway.journal.replay import ReplayResult, replay
from vpp_gateway.journal.reserve import JournalFull
from vpp_gateway.journal.store import Entry, Journal, Record
from vpp_gateway.journal.telemetry import TelemetryStore, Usage, series_of

__all__ = [
    "Dated",
    "Entry",
    "FactCodec",
    "Journal",
    "JournalFull",
    "Record",
    "ReplayResult",
    "Retention",
    "TelemetryStore",
    "Usage",
    "VerifyResult",
    "replay",
    "series_of",
    "verify_archives",
]
