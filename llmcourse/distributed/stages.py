"""Pipeline parallelism: some layers here, the next ones there, micro-batches passing through.

A plan is, for one stage, the order of its work: `("F", i)` is the forward pass of micro-batch i,
`("B", i)` its backward pass. Huang et al. (2019) for `gpipe`, Narayanan et al. (2021) for
`one_f_one_b`.

Example:
    >>> one_f_one_b(stage=1, stages=2, micro=2)
    [('F', 0), ('B', 0), ('F', 1), ('B', 1)]
"""

from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["Plan", "bubble", "gpipe", "most_kept", "one_f_one_b", "run_stage", "timeline"]

Plan = list[tuple[str, int]]


def _check(stage: int, stages: int, micro: int) -> None:
    if stages < 1 or micro < 1 or not 0 <= stage < stages:
        raise ValueError(
            f"stages and micro must be at least 1 and stage in 0..stages − 1, "
            f"got {stages}, {micro} and {stage}"
        )


def gpipe(stage: int, stages: int, micro: int) -> Plan:
    """All forward passes, then all backward passes."""
    _check(stage, stages, micro)
    return [("F", i) for i in range(micro)] + [("B", i) for i in range(micro)]


def one_f_one_b(stage: int, stages: int, micro: int) -> Plan:
    """Forward passes until the first backward one can come, then one of each in turn.

    A stage never keeps more than `stages − stage` micro-batches, however many there are.
    """
    _check(stage, stages, micro)
    ahead = min(micro, stages - 1 - stage)
    plan = [("F", i) for i in range(ahead)]
    for i in range(micro - ahead):
        plan += [("F", ahead + i), ("B", i)]
    return plan + [("B", i) for i in range(micro - ahead, micro)]


def most_kept(plan: Plan) -> int:
    """The most micro-batches whose activations wait for their backward pass at once."""
    kept = most = 0
    for kind, _ in plan:
        kept += 1 if kind == "F" else -1
        most = max(most, kept)
    return most


def bubble(stages: int, micro: int) -> float:
    """The share of time that a stage stands idle, (p − 1) / (m + p − 1), in either plan."""
    _check(0, stages, micro)
    return (stages - 1) / (micro + stages - 1)


def timeline(
    plans: Sequence[Plan], forward: float = 1.0, backward: float = 2.0
) -> list[dict[tuple[str, int], tuple[float, float]]]:
    """When each stage does each piece of work, (begin, end), if sending costs no time.

    Raises:
        ValueError: the plans wait for each other for ever.
    """
    done: list[dict[tuple[str, int], tuple[float, float]]] = [{} for _ in plans]
    place, last = [0] * len(plans), len(plans) - 1
    cost = {"F": forward, "B": backward}
    while any(place[s] < len(plan) for s, plan in enumerate(plans)):
        moved = False
        for s, plan in enumerate(plans):
            if place[s] == len(plan):
                continue
            kind, i = plan[place[s]]
            neighbour = s - 1 if kind == "F" else s + 1
            needs = [done[neighbour].get((kind, i))] if 0 <= neighbour <= last else []
            if kind == "B":
                needs.append(done[s].get(("F", i)))
            if None in needs:
                continue
            free = max((end for _, end in done[s].values()), default=0.0)
            begin = max([free, *(end for _, end in needs)])
            done[s][kind, i] = (begin, begin + cost[kind])
            place[s], moved = place[s] + 1, True
        if not moved:
            raise ValueError("the plans of these stages wait for each other")
    return done


def run_stage(
    plan: Plan, forward: Callable[[Tensor | None, int], Tensor], shape: Sequence[int]
) -> int:
    """Do this process's part of a plan; stages are the processes, in order.

    `forward(x, i)` gets what the stage before gave for micro-batch i (None in the first stage)
    and returns what the next one needs, of `shape`, or in the last stage the loss. Gradients
    gather in the parameters. Returns the most micro-batches kept at once.
    """
    rank, last = dist.get_rank(), dist.get_world_size() - 1
    kept: dict[int, tuple[Tensor | None, Tensor]] = {}
    sending, most = [], 0

    def send(tensor: Tensor, to: int, tag: int) -> None:
        tensor = tensor.detach().contiguous()
        sending.append((dist.isend(tensor, to, tag=tag), tensor))  # alive until it has gone

    for kind, i in plan:
        if kind == "F":
            x = None
            if rank > 0:
                x = torch.empty(shape)
                dist.recv(x, rank - 1, tag=2 * i)
                x.requires_grad_()
            y = forward(x, i)
            kept[i] = (x, y)
            most = max(most, len(kept))
            if rank < last:
                send(y, rank + 1, 2 * i)
        else:
            x, y = kept.pop(i)
            grad = None
            if rank < last:
                grad = torch.empty(shape)
                dist.recv(grad, rank + 1, tag=2 * i + 1)
            y.backward(grad)
            if x is not None:
                send(x.grad, rank - 1, 2 * i + 1)
    for work, _ in sending:
        work.wait()
    return most
