"""Texts about certificates, keys and CRLs in use. Key -> (English, Japanese)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TRUST: Final[Mapping[str, tuple[str, str]]] = {
    "alarm.credentials": (
        "Certificates of {room}: {why}.",
        "{room} の証明書: {why}",
    ),
    "problem.tls_pin_without_tls": (
        "vtn_tls_fingerprint pins the VTN's TLS certificate, but there is no tls block",
        "vtn_tls_fingerprint は VTN の TLS 証明書を固定しますが、tls の設定がありません",
    ),
}
