"""Many processes that train one model: who am I, what do I hold, how do we add up.

`torchrun` starts the same program once a process and tells each its number by environment
variables. Nothing here needs them: with one process every function is the identity. A model is
either whole on every process (data parallel) or cut in pieces, one a process (`shard`).
"""

import contextlib
import datetime
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

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

# What a collective says when a neighbour is gone or silent: gloo raises a bare RuntimeError.
SIGNS = ("connection closed", "connection reset", "broken pipe", "timed out", "timeout")


class ProcessLost(RuntimeError):
    """Another process is gone, or did not answer in time; this one cannot go on alone."""


def _launched() -> bool:
    # `torchrun` sets the last; `srun` with a few exported lines sets the others.
    by_hand = all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR"))
    return by_hand or dist.is_torchelastic_launched()


def processes(timeout: float = 600.0) -> tuple[int, int]:
    """This process's number and how many there are; (0, 1) unless a launcher started us.

    `timeout` is how many seconds a process waits for another before it gives up; the first call
    settles it.
    """
    if not dist.is_available() or not (dist.is_initialized() or _launched()):
        return 0, 1
    if not dist.is_initialized():
        # Each kind of tensor by its own way: NCCL between GPUs, gloo for what lies in memory.
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        if torch.cuda.is_available():
            torch.cuda.set_device(device())
        dist.init_process_group(backend, timeout=datetime.timedelta(seconds=timeout))
    return dist.get_rank(), dist.get_world_size()


def device() -> torch.device:
    """Where this process computes: its own GPU of this machine, or the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    local = int(os.environ.get("LOCAL_RANK", 0))
    if local >= torch.cuda.device_count():
        raise ValueError(
            f"process {local} of this machine needs a GPU of its own, but there are "
            f"{torch.cuda.device_count()}: set --nproc-per-node to that"
        )
    return torch.device("cuda", local)


def lost(error: RuntimeError) -> bool:
    """Whether an error of torch's means that another process is gone or silent."""
    if not dist.is_available() or not dist.is_initialized():
        return False
    return isinstance(error, dist.DistError) or any(s in str(error).lower() for s in SIGNS)


@contextlib.contextmanager
def together(place: Callable[[], tuple[int, Any]]) -> Iterator[None]:
    """Turn a collective's failure inside into a `ProcessLost` that says what to do.

    `place` gives the step and the last checkpoint, asked when it happens.
    """
    try:
        yield
    except RuntimeError as error:
        if not lost(error):
            raise
        step, saved = place()
        message = (
            f"process {dist.get_rank()} of {dist.get_world_size()} stops at step {step}: another "
            f"process is gone or did not answer in time. Last good checkpoint: {saved or 'none'}. "
            "Start the same command again to go on from there"
        )
        print(message, file=sys.stderr, flush=True)  # at once: a launcher may end us any moment
        raise ProcessLost(message) from error


def shard(model: nn.Module) -> nn.Module:
    """Cut a model in place: each process keeps its part of every parameter (ZeRO stage 3, FSDP2).

    One group a block of `model.blocks`, one for the rest. A group's parameters are whole only while
    it computes; gradients are summed over the processes and cut as the parameters are. Optimisers
    must be made afterwards, since the parameters are other objects then.

    Raises:
        ValueError: there is only this process, so nothing can be cut.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    _, world = processes()
    if world == 1:
        raise ValueError("to shard a model takes several processes: start it by torchrun")
    mesh = init_device_mesh(next(model.parameters()).device.type, (world,))
    # By default the outermost group stays whole after a forward pass, because a backward pass
    # follows. After an evaluation none does, and the next step would use weights of yesterday.
    for module in (*getattr(model, "blocks", ()), model):
        fully_shard(module, mesh=mesh, reshard_after_forward=True)
        module.set_gradient_divide_factor(1.0)  # no mean: the losses are shares of one already
        module.set_force_sum_reduction_for_comms(True)  # gloo knows no sum with a factor
    return model


def is_sharded(model: nn.Module) -> bool:
    """Whether `shard` has cut this model."""
    return any(hasattr(p, "full_tensor") for p in model.parameters())


def whole(tensor: Tensor) -> Tensor:
    """A sharded tensor put together, on every process; a plain one as it is.

    All processes must call it, in one order, or those that do wait for ever.
    """
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def gather(tensor: Tensor) -> Tensor:
    """As `whole`, in the CPU's memory, but only process 0 keeps the result; others get nothing."""
    if not hasattr(tensor, "full_tensor"):
        return tensor.detach().cpu()
    full = tensor.detach().full_tensor()
    return full.cpu() if dist.get_rank() == 0 else full.new_empty(0, device="cpu")


def part_like(full: Tensor, like: Tensor) -> Tensor:
    """This process's part of a whole tensor, cut as `like` is; all of it where that is whole.

    Nothing is sent: every process has the whole tensor already.
    """
    if not hasattr(like, "device_mesh"):
        return full
    from torch.distributed.tensor import distribute_tensor

    full = full.to(like.device, like.dtype)
    return distribute_tensor(full, like.device_mesh, like.placements, src_data_rank=None)


def broadcast(model: nn.Module) -> None:
    """Give every process the parameters of process 0."""
    if processes()[1] > 1:
        for parameter in model.parameters():
            dist.broadcast(parameter.data, 0)


def add_up(number: float, on: torch.device | str = "cpu") -> float:
    """The sum of a number over all processes."""
    if processes()[1] == 1:
        return number
    total = torch.tensor([number], device=on)
    dist.all_reduce(total)
    return float(total)


def sum_gradients(parameters: Iterable[nn.Parameter], loss: float) -> float:
    """Add up all processes' gradients (each has its share of one mean), and their losses."""
    learned = [p for p in parameters if p.requires_grad]
    for p in learned:
        if p.grad is None:
            p.grad = torch.zeros_like(p)  # no row here reached it, but others' may have
    shared = torch.tensor([loss], device=learned[0].device)
    flat = torch.cat([shared, *(p.grad.reshape(-1) for p in learned)])  # one message for all
    dist.all_reduce(flat)
    for p, part in zip(learned, flat[1:].split([p.numel() for p in learned]), strict=True):
        p.grad.copy_(part.view_as(p))
    return float(flat[0])


def agree(what: str, value: Any) -> None:
    """Check that all processes hold one number.

    Raises:
        RuntimeError: they do not; the message lists what each has.
    """
    rank, world = processes()
    if world == 1:
        return
    on = device() if torch.cuda.is_available() else "cpu"
    held = [torch.zeros(1, dtype=torch.int64, device=on) for _ in range(world)]
    dist.all_gather(held, torch.tensor([int(value)], device=on))
    numbers = [int(n) for n in held]
    if len(set(numbers)) > 1:
        raise RuntimeError(
            f"the processes disagree on {what}: {numbers} by process. All must see one folder, "
            "on a file system that their machines share"
        )
