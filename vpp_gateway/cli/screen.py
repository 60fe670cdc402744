"""A screen on which nothing that a file or a peer said can command the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from vpp_gateway.cli.common import safe


class Screen(Console):
    """Escapes control characters in every text on its way into a line, a cell or a heading; its own colours stay."""

    def render_str(self, text: str, **settings: Any) -> Text:  # rich's own keyword arguments
        """As rich does, of `text` without what a terminal would obey."""
        return super().render_str(safe(text, keep_lines=True), **settings)
