"""What gateway processes say to one another."""

from __future__ import annotations

from libs.common.messages import gateway
from libs.common.subjects.kinds import Command, Subject

# Said by gateway processes to one another: machines there are, what one counts for all, calls taken back.
MACHINE_ALIVE = Subject("gateway.tick.machine.v1", gateway.MachineAlive)
CALL_TAKEN_BACK = Subject("gateway.tick.call.v1", gateway.CallTakenBack)
LIMIT_COUNT = Command(
    "gateway.cmd.limit.count.v1",
    gateway.LimitCount,
    gateway.LimitCounted,
    timeout_s=0.25,
    partitioned=True,
)
