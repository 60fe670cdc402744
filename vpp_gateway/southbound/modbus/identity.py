"""Is this the device that the profile is for? Asked before anything is written. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from vpp_gateway.errors import Rejected
from vpp_gateway.southbound.modbus.codec import Raw


def identify(raw: Mapping[str, Raw], expected: Mapping[str, str], profile: str) -> None:
    """Hold what the device says of itself against what is expected.

    Args:
        raw: Unscaled values by point.
        expected: Regular expression by point.
        profile: Its name, for the message.

    Raises:
        Rejected: a point says something else, or nothing.
    """
    for key, pattern in expected.items():
        found = raw.get(key)
        if found is None or not re.search(pattern, str(found)):
            if found is None:
                raise Rejected(f"{key} says nothing, profile {profile} expects {pattern!r}")
            raise Rejected(f"{key} is {found!r}, profile {profile} expects {pattern!r}")
