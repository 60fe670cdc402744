"""By which criteria of eiTarget a program can name us: the profile's section `targets` (rule 22)."""

from __future__ import annotations

from dataclasses import replace

from vpp_gateway.northbound.openadr2.messages import Targets
from vpp_gateway.northbound.openadr2.program import ProgramProfile


def naming(targets: Targets, program: ProgramProfile) -> Targets:
    """`targets` without the criteria that name nobody in this program.

    An eiTarget that holds nothing else does not become an empty one, which would mean us: what was left out is listed
    with the criteria of other kinds.
    """
    kept = {
        "venID": targets.ven_ids,
        "resourceID": targets.resource_ids,
        "groupID": targets.group_ids,
        "partyID": targets.party_ids,
    }
    passed = tuple(name for name, ids in kept.items() if ids and name not in program.targets.by)
    if not passed:
        return targets
    return replace(
        targets,
        ven_ids=() if "venID" in passed else targets.ven_ids,
        resource_ids=() if "resourceID" in passed else targets.resource_ids,
        group_ids=() if "groupID" in passed else targets.group_ids,
        party_ids=() if "partyID" in passed else targets.party_ids,
        others=(*targets.others, *passed),
    )
