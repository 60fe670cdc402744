"""What operators see: published models, API and stream, control socket, page.

Imports nothing here: the command line imports `vpp_gateway.console.ask` and must start at once.
"""
