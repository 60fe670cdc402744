"""`python -m vpp_gateway`: the same as the command `vpp-gateway`."""

from vpp_gateway.cli import main

main()
