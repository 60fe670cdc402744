"""The commands. This file knows their names; each command's module is imported when it is called.

So `vpp-gateway --help` and `status` start at once: they import neither pydantic nor ruamel, cryptography, scipy,
aiohttp or openleadr.

Exit codes: 0 ok, 1 failed, 2 usage, 3 configuration invalid, 4 gateway not running or peer unreachable, 5 target or
test missed, 6 degraded.
"""

from __future__ import annotations

import click

from vpp_gateway import __version__
from vpp_gateway.cli.common import explain, lang_option, language
from vpp_gateway.cli.lazy import Lazy, LazyGroup
from vpp_gateway.cli.output import Unwritable, watched_output
from vpp_gateway.errors import GatewayError


class Root(LazyGroup):
    """The outermost group: the boundary at which this package's errors become text and an exit code."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; what it raises on purpose is explained, anything else is a defect and shows."""
        try:
            return super().invoke(ctx)
        except GatewayError as error:
            ctx.exit(explain(error, ctx))
        except Unwritable as lost:
            lost.lang = language(ctx)
            raise


@click.command(
    cls=Root,
    lazy={
        "demo": Lazy(
            "run", "demo", "The whole house in front of you: simulated utility, sites and batteries."
        ),
        "run": Lazy("run", "run", "Run the gateway."),
        "status": Lazy("status", "status", "What the running gateway sees, worst first."),
        "events": Lazy("events", "events", "Events of the grid operators: ls, show, why."),
        "capacity": Lazy("capacity", "capacity", "What can be offered to the balancing market: show."),
        "simulate": Lazy(
            "simulate", "simulate", "What would happen if: play events on the real gateway in virtual time."
        ),
        "replay": Lazy("replay", "replay", "Fold a journal again: are the decisions those of the run?"),
        "ven": Lazy(
            "ven", "ven", "Registration and opts of one connection: register, cancel, opt, create-opt, ..."
        ),
        "config": Lazy("config", "config", "The configuration file: check, schema, init."),
        "device": Lazy(
            "device",
            "device",
            "Batteries and meters: profiles, scan, read, steptest, failsafe-test, commission, sim, ...",
        ),
        "identity": Lazy("identity", "identity", "Keys and certificates: show, csr, fingerprint, dev-ca."),
        "messages": Lazy(
            "messages", "messages", "Messages of the utilities and ours, on record: ls, show, export."
        ),
        "conform": Lazy(
            "conform", "conform", "Conformance: play the procedures of a standard against a VEN."
        ),
        "site": Lazy("run", "site", "The agent of one site: run."),
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 ok, 1 failed, 2 usage, 3 configuration invalid, 4 gateway not running or peer unreachable, "
    "5 target or test missed, 6 degraded.",
)
@click.version_option(__version__, prog_name="vpp-gateway")
@lang_option
def root(lang: str | None) -> None:
    """Virtual power plant gateway for data centres."""


def main() -> None:
    """Entry point of the command `vpp-gateway`."""
    with watched_output():
        root(prog_name="vpp-gateway")
