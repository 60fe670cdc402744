"""What is tested: any VEN that can be pointed at a VTN; what it can do beyond that, it claims."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from vpp_gateway.conform.openadr2.procedure import Procedure


class Subject(Protocol):
    """One kind of VEN; each procedure gets a fresh one."""

    name: str
    """Name and version, for the report."""
    claims: frozenset[str]
    """See `procedure.Claim`."""

    def running(self, procedure: Procedure, vtn_url: str) -> AbstractAsyncContextManager[Operator]:
        """A VEN in factory state that registers with the VTN at `vtn_url`."""
        ...


class Operator(Protocol):
    """Who does what a human is asked to do at the VEN."""

    async def prompt(self, verb: str, give: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do it; the answer in plain values.

        Raises:
            NotPossible: nobody can do this here.
        """
        ...


class NotPossible(Exception):
    """The VEN, or who operates it, cannot do this: the procedure is not applicable."""
