"""`vpp-gateway demo`: the main job, end to end, on real protocols; only field, work and utility are simulated.

demo                 watch it: the page opens, keys send events and break things
demo --headless      plays the acts and exits; --json FILE keeps what was measured
"""

from __future__ import annotations


def main(arguments: list[str]) -> int:
    """Run the demo; returns the exit code of `vpp-gateway demo`."""
    from vpp_gateway.demo.command import demo

    return int(demo.main(arguments, prog_name="vpp-gateway demo", standalone_mode=False) or 0)
