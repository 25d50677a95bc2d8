"""Training on many processes: batches shared out, weights sharded, layers split, stages, plans.

Example:
    >>> from llmcourse import distributed
    >>> distributed.processes()  # no launcher started us
    (0, 1)
"""

from llmcourse.distributed.plan import daly, mfu, useful_share, young, zero_bytes
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
from llmcourse.distributed.ring import ring_all_reduce
from llmcourse.distributed.split import copy_in, split_block, sum_out
from llmcourse.distributed.stages import (
    Plan,
    bubble,
    gpipe,
    most_kept,
    one_f_one_b,
    run_stage,
    timeline,
)

__all__ = [
    "Plan",
    "ProcessLost",
    "add_up",
    "agree",
    "broadcast",
    "bubble",
    "copy_in",
    "daly",
    "device",
    "gather",
    "gpipe",
    "is_sharded",
    "lost",
    "mfu",
    "most_kept",
    "one_f_one_b",
    "part_like",
    "processes",
    "ring_all_reduce",
    "run_stage",
    "shard",
    "split_block",
    "sum_gradients",
    "sum_out",
    "timeline",
    "together",
    "useful_share",
    "whole",
    "young",
    "zero_bytes",
]
