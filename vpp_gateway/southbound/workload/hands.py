"""What a lever can do to jobs, on whatever they run: processes, objects in virtual time, a site's scheduler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.southbound.workload.contract import Sample
from vpp_gateway.southbound.workload.levers import Job, JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """How long a move took, seconds; zeros when there was nothing to move."""

    leave_s: float = 0.0
    """Until it was gone at the source."""
    downtime_s: float = 0.0
    """From being told to leave until it was seen to work at the destination."""


class Hands(Protocol):
    """What can be done to jobs. Each raises DeviceError, naming the job, when it cannot be done."""

    def jobs(self) -> tuple[Job, ...]:
        """What is really there now; jobs whose process died by itself are not. Renews caps that were lost."""
        ...

    def samples(self, now: float) -> tuple[Sample, ...]:
        """Power of the jobs by site; may be empty."""
        ...

    async def warm(self, job: JobId, destination: SiteId) -> None:
        """Get ready to continue `job` at `destination` at once. Nothing runs twice."""
        ...

    def cool(self, job: JobId) -> None:
        """Drop what `warm` got ready."""
        ...

    async def throttle(self, job: JobId, share: float) -> None:
        """Hold a running job to `share` (inside (0, 1)) of its usual duty where it is, until released."""
        ...

    async def release(self, job: JobId) -> None:
        """Let a throttled job have its usual duty again; one that has ended meanwhile stays ended.

        When it cannot be done, the job is still `capped`.
        """
        ...

    async def pause(self, job: JobId) -> None:
        """Stop a running job where it is; it keeps its memory and its slot."""
        ...

    async def resume(self, job: JobId) -> None:
        """Let a paused job go on; one that died while paused continues from its checkpoint."""
        ...

    async def start(self, job: JobId) -> None:
        """Run a queued job where it is."""
        ...

    async def stop(self, job: JobId) -> None:
        """Checkpoint a running job and put it back into its queue."""
        ...

    async def move(self, job: JobId, destination: SiteId) -> Moved:
        """Continue `job` at `destination`. On failure it runs where it was, or the next `move` finds it."""
        ...
