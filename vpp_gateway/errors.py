"""One tree of errors. Each says who, what was expected, what was found, and what happens next.

Catch at a boundary, by name. Outcomes that are part of normal life (an order refused, a device lost) are
values of `domain.fact`, not exceptions.
"""

from __future__ import annotations

from collections.abc import Iterator


class GatewayError(Exception):
    """Root of everything this package raises on purpose."""


class ConfigError(GatewayError):
    """The operator's file is wrong; the text names file:line:column, the key and what is allowed."""


class PeerError(GatewayError):
    """A remote party (VTN, utility server, plug-in, agent) broke the protocol."""


class MisuseError(GatewayError):
    """We broke a rule ourselves: a caller's mistake, never the peer's."""


class JournalError(GatewayError):
    """The journal cannot be trusted or written; the text says up to which record it is good."""


class NotWhole(JournalError):
    """What was asked cannot be told, for the journal is damaged; the text says what was found."""


class DeviceError(GatewayError):
    """A field device did not do what was asked."""


class Unreachable(DeviceError):
    """No answer within the deadline, or no connection."""


class Rejected(DeviceError):
    """The device answered, and the answer was no (exception code, value not taken over)."""


class Implausible(DeviceError):
    """The device answered something that cannot be true (NaN, sentinel, outside nameplate)."""


def leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """What lies at the bottom of nested groups of exceptions."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error
