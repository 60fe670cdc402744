"""What commissioning found, as a signed document: JSON for programs, one page for people (`page`).

The signature (ECDSA P-256, SHA-256) covers the document without its `signature`, written with sorted keys and without
spaces, so that every JSON library can make the same bytes again. The key is the site's own and never leaves its folder;
whoever gets the report compares the fingerprint with the one that the site tells.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from vpp_gateway.commission.bench import Nameplate
from vpp_gateway.commission.failsafe import FailsafeResult
from vpp_gateway.commission.steptest import Step
from vpp_gateway.errors import ConfigError, MisuseError
from vpp_gateway.identity.keys import key_pem, make_key, read_key, write_private
from vpp_gateway.southbound.modbus.profile import DeviceProfile

REPORT_VERSION: Final = 1
ALGORITHM: Final = "ECDSA-P256-SHA256"


@dataclass(frozen=True, slots=True, kw_only=True)
class Commissioned:
    """All that was found about one battery."""

    device: str
    """The operator's name for it."""
    address: str
    unit: int
    identity: Mapping[str, str]
    """What it says of itself."""
    profile: DeviceProfile
    plate: Nameplate
    modelled: bool
    """A simulated device: nothing here was measured at hardware."""
    steps: tuple[Step, ...]
    failsafe: FailsafeResult | None
    by: str
    """Who was there."""
    at: float
    """UTC (Unix s)."""
    version: str
    """Of the gateway."""

    @property
    def passed(self) -> bool:
        """Every step obeyed, and it falls back as promised."""
        obeyed = bool(self.steps) and not any(step.faults for step in self.steps)
        return obeyed and self.failsafe is not None and self.failsafe.passed


def measured(found: Commissioned) -> dict[str, float | None]:
    """The figures that planning uses; the worst of all steps counts."""
    steps = [step for step in found.steps if step.confirmed_w is not None and step.to_w != step.from_w]
    arrivals = [step.arrived_s for step in steps if step.arrived_s is not None]
    ramps = [step.ramp_w_per_s for step in steps if step.ramp_w_per_s is not None]
    latencies = [step.moved_s for step in steps if step.moved_s is not None]
    errors = [
        abs(step.held_w - step.to_w) / max(abs(step.to_w), abs(step.from_w))
        for step in steps
        if step.held_w is not None
    ]
    whole = bool(steps) and len(arrivals) == len(steps)
    return {
        "response_s": max(arrivals) if whole else None,
        "latency_s": max(latencies) if latencies else None,
        "ramp_w_per_s": min(ramps) if ramps else None,
        "error_share": max(errors) if errors else None,
        "reversion_s": None if found.failsafe is None else found.failsafe.back_s,
    }


def document(found: Commissioned) -> dict[str, object]:
    """The report as plain values, not yet signed."""
    failsafe = found.failsafe
    return {
        "schema_version": REPORT_VERSION,
        "kind": "commissioning",
        "at": found.at,
        "by": found.by,
        "gateway": found.version,
        "modelled": found.modelled,
        "device": {"name": found.device, "address": found.address, "unit": found.unit, **found.identity},
        "profile": {
            "name": found.profile.name,
            "grade": found.profile.grade,
            "verified": found.profile.verified,
            "sha256": _fingerprint_of(found.profile),
        },
        "nameplate": asdict(found.plate),
        "steps": steps_plain(found.steps),
        "failsafe": None if failsafe is None else failsafe_plain(failsafe),
        "measured": measured(found),
        "passed": found.passed,
    }


def steps_plain(steps: tuple[Step, ...]) -> object:
    """Steps as JSON values."""
    return [_plain(asdict(step) | {"faults": list(step.faults)}) for step in steps]


def failsafe_plain(found: FailsafeResult) -> object:
    """A failsafe test as JSON values."""
    return _plain(asdict(found) | {"verdict": found.verdict, "passed": found.passed})


def _fingerprint_of(profile: DeviceProfile) -> str:
    return hashlib.sha256(profile.model_dump_json().encode()).hexdigest()


def _plain(value: object) -> object:
    """JSON values: rounded to what was measured, and never NaN."""
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


# --- signing -------------------------------------------------------------------------------------------------


def signing_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The key that signs reports, made at its first use (0600).

    Raises:
        ConfigError: the file is no P-256 key.
    """
    if not path.exists():
        write_private(path, key_pem(make_key("p256")))
    key = read_key(path)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise ConfigError(f"{path}: not a P-256 key; reports are signed with {ALGORITHM}")
    return key


def sign(report: Mapping[str, object], key: ec.EllipticCurvePrivateKey) -> dict[str, object]:
    """The report with its signature."""
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    value = key.sign(_bytes(report), ec.ECDSA(hashes.SHA256()))
    return dict(report) | {
        "signature": {
            "algorithm": ALGORITHM,
            "public_key": base64.b64encode(public).decode(),
            "fingerprint": fingerprint(public),
            "value": base64.b64encode(value).decode(),
        }
    }


def fingerprint(public: bytes) -> str:
    """SHA-256 of a public key (DER), in groups of four for reading aloud."""
    digest = hashlib.sha256(public).hexdigest().upper()
    return " ".join(digest[index : index + 4] for index in range(0, 32, 4))


def verify(report: Mapping[str, object]) -> str:
    """The fingerprint of the key that signed it.

    Raises:
        MisuseError: it is not signed, or was changed afterwards.
    """
    signature = report.get("signature")
    if not isinstance(signature, Mapping) or signature.get("algorithm") != ALGORITHM:
        raise MisuseError(f"not signed with {ALGORITHM}")
    rest = {key: value for key, value in report.items() if key != "signature"}
    try:
        public = base64.b64decode(str(signature.get("public_key")), validate=True)
        key = serialization.load_der_public_key(public)
        value = base64.b64decode(str(signature.get("value")), validate=True)
    except ValueError as error:
        raise MisuseError(f"the signature cannot be read: {error}") from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise MisuseError("the public key is not one of an elliptic curve")
    try:
        key.verify(value, _bytes(rest), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise MisuseError("the signature does not fit: the report was changed after it was signed") from None
    return fingerprint(public)


def _bytes(report: Mapping[str, object]) -> bytes:
    said = json.dumps(report, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return said.encode()
