"""Texts about our own address that a utility posts to. Key -> (English, Japanese)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PUSH: Final[Mapping[str, tuple[str, str]]] = {
    "problem.push_needs_tls": (
        "would take orders in clear text on {host}; without the block tls: it must stay on loopback (127.0.0.1)",
        "{host} で指令を平文で受け付けることになります。tls: ブロックがない場合はループバック(127.0.0.1)に限ります",
    ),
    "problem.push_cert_key": (
        "cert and key belong together: give both, or neither to use those of tls:",
        "cert と key は組です。両方を指定するか、どちらも省いて tls: のものを使ってください",
    ),
}
