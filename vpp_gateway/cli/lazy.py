"""Groups whose commands are imported when they are called, and listed without being imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click


@dataclass(frozen=True, slots=True)
class Lazy:
    """Where a command stands."""

    module: str
    """Below `vpp_gateway.cli`."""
    name: str
    """Of the command object in that module."""
    summary: str
    """Line in the list of commands."""


class LazyGroup(click.Group):
    """A group that knows its commands by name only.

    Args:
        lazy: command name -> where it stands, in the order of the list.
    """

    def __init__(self, *, lazy: Mapping[str, Lazy], **settings: Any) -> None:  # click's own keyword arguments
        super().__init__(**settings)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order given, which is the order of use."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if (lazy := self._lazy.get(cmd_name)) is None:
            return None
        command = getattr(import_module(f"vpp_gateway.cli.{lazy.module}"), lazy.name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is refused with what was probably meant."""
        if args and not args[0].startswith("-") and args[0] not in self._lazy:
            from difflib import get_close_matches

            close = get_close_matches(args[0], self._lazy, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else f" Allowed: {', '.join(self._lazy)}."
            ctx.fail(f"No such command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.summary) for name, lazy in self._lazy.items()])
