"""Where the running gateway answers, found without loading the settings' models: `status` must start at once.

A light scan reads two lines of the configuration, `gateway.state_dir` and `gateway.language`. What it cannot read
for certain (flow style, anchors, escapes) is read as YAML instead, which is slower and right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from vpp_gateway.cli.common import DEFAULT_CONFIG
from vpp_gateway.plain import View

DEFAULT_STATE_DIR = Path("/var/lib/vpp-gateway")
CONTROL_SOCKET = "control.sock"

_ENTRY = re.compile(
    r"""(?P<indent>\ +)(?P<key>[a-z_]+):
        (\s+(?P<value>[^\s"'#{\[&*!|>%@`][^#"'\\]*?|"[^"\\]*"|'[^']*'))?
        \s*(\s\#.*)?""",
    re.X,
)
"""A key with a plain value on the same line, or with nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """Of one gateway."""

    socket: Path
    language: str | None
    """As configured, unchecked."""


def find(config: Path | None, state_dir: Path | None) -> Whereabouts:
    """Where to ask.

    Args:
        config: configuration file; None = gateway.yaml in the current folder, if there is one.
        state_dir: state folder; wins over `config`.

    Raises:
        ConfigError: the configuration cannot be read.
    """
    if state_dir is not None:
        return Whereabouts(socket=state_dir / CONTROL_SOCKET, language=None)
    if config is None:
        if not DEFAULT_CONFIG.exists():
            return Whereabouts(socket=DEFAULT_STATE_DIR / CONTROL_SOCKET, language=None)
        config = DEFAULT_CONFIG
    found = _scan(config)
    gateway = View(_read(config) if found is None else found)
    folder = config.parent / (gateway["state_dir"].text or "state")
    return Whereabouts(socket=folder / CONTROL_SOCKET, language=gateway["language"].text)


def _scan(config: Path) -> dict[str, str] | None:
    """The plain entries of the block `gateway:`, or None when only a YAML reader can tell."""
    try:
        lines = config.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return None  # the YAML reader says what is wrong
    starts = [number for number, line in enumerate(lines) if re.match(r"""["']?gateway""", line)]
    if len(starts) != 1 or not re.fullmatch(r"gateway:\s*(\s#.*)?", lines[starts[0]]):
        return None
    entries: dict[str, str] = {}
    indent = ""
    for line in lines[starts[0] + 1 :]:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not line.startswith(" "):
            break
        if (entry := _ENTRY.fullmatch(line)) is None:
            return None
        indent = indent or entry["indent"]
        if entry["indent"] == indent:
            entries[entry["key"]] = (entry["value"] or "").strip("\"'")
    return entries


def _read(config: Path) -> object:
    from vpp_gateway.yaml_source import read_yaml

    return read_yaml(config).plain.get("gateway")
