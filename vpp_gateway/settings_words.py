"""What the settings are made of: the base of their sections, and the kinds of value that a field can have."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

from vpp_gateway.settings_rules import KW_MAX
from vpp_gateway.yaml_validate import show, wrong

OPENADR2_SERVICES = ("EiRegisterParty", "EiEvent", "EiReport", "EiOpt", "OadrPoll")
IDENTIFIER = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"


def _identifier(found: str) -> str:
    if not re.fullmatch(IDENTIFIER, found):
        raise wrong(
            "problem.pattern", found=show(found), allowed="1-64 of A-Z a-z 0-9 . _ -, first a letter or digit"
        )
    return found


def _fingerprint(found: str) -> str:
    if not re.fullmatch(r"[0-9A-F]{2}(:[0-9A-F]{2}){9}", found.upper()):
        raise wrong(
            "problem.pattern", found=show(found), allowed="10 pairs of hex digits with colons (12:AB:...)"
        )
    return found.upper()


def _vtn_url(found: str) -> str:
    try:
        parts = urlsplit(found)
        plain = parts.port is None or parts.port > 0
    except ValueError:
        raise wrong("problem.url", found=show(found)) from None
    plain &= parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    if not plain or parts.query or parts.fragment or re.search(r"\s", found):
        raise wrong("problem.url", found=show(found))
    service = parts.path.rstrip("/").rsplit("/", 1)[-1]
    if service in OPENADR2_SERVICES:
        raise wrong("problem.url_service", service=service)
    return found.rstrip("/")


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    base = (info.context or {}).get("base")
    return path if base is None else base / path


def _moment(found: str) -> str:
    try:
        known = datetime.fromisoformat(found)
    except ValueError:
        raise wrong("problem.moment", found=show(found)) from None
    if known.tzinfo is None:
        raise wrong("problem.moment", found=show(found))
    return found


def unix_of(moment: str) -> float:
    """A moment of the file as UTC (Unix s)."""
    return datetime.fromisoformat(moment).timestamp()


def seconds_of(time_of_day: str) -> float:
    """`HH:MM` as seconds after midnight; 24:00 is the next midnight."""
    hours, minutes = time_of_day.split(":")
    return 3600.0 * int(hours) + 60.0 * int(minutes)


Text = Annotated[str, Field(min_length=1, max_length=200)]
Identifier = Annotated[
    str, AfterValidator(_identifier), Field(json_schema_extra={"pattern": f"^{IDENTIFIER}$"})
]
Fingerprint = Annotated[str, AfterValidator(_fingerprint)]
VtnUrl = Annotated[str, AfterValidator(_vtn_url)]
FilePath = Annotated[Path, AfterValidator(_beside_the_file)]
Switch = Annotated[bool, Field(strict=True)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Kw = Annotated[Number, Field(le=KW_MAX)]
Share = Annotated[Number, Field(ge=0, le=1)]
Seconds = Annotated[Number, Field(gt=0, le=86400)]
Moment = Annotated[str, AfterValidator(_moment), Field(json_schema_extra={"format": "date-time"})]
"""ISO 8601 with an offset: a time without one would be another moment on another machine."""
TimeOfDay = Annotated[str, Field(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")]
Offset = Annotated[str, Field(pattern=r"^[+-](0\d|1[0-4]):[0-5]\d$")]
"""Of local time from UTC, for instance +09:00."""


class Section(BaseModel):
    """Base of the settings: frozen, nothing unknown."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True
    )
