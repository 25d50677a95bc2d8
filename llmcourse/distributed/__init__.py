"""Training on many processes: shared batches, sharded weights, split layers, stages, and the plan.

Example:
    >>> from llmcourse import distributed
    >>> distributed.processes()  # no launcher started us
    (0, 1)
"""

from llmcourse.distributed.ranks import (
    ProcessLost,
    add_up,
    agree,
    broadcast,
    device,
    gather,
    is_sharded,
    lost,
    part_like,
    processes,
    shard,
    sum_gradients,
    together,
    whole,
)

__all__ = [
    "ProcessLost",
    "add_up",
    "agree",
    "broadcast",
    "device",
    "gather",
    "is_sharded",
    "lost",
    "part_like",
    "processes",
    "shard",
    "sum_gradients",
    "together",
    "whole",
]
