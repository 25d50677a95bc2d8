"""Adding up over processes in a ring: everybody sends to one neighbour only.

Patarasuk and Yuan (2009). The sum of S numbers over n processes costs each of them 2(n − 1)/n · S
numbers sent, however many they are; no scheme sends fewer.
"""

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

__all__ = ["ring_all_reduce"]


def _exchange(out: Tensor, into: Tensor, rank: int, world: int) -> None:
    """Send to the right while receiving from the left; neither waits for the other to begin."""
    sending = dist.isend(out.contiguous(), (rank + 1) % world)
    dist.recv(into, (rank - 1) % world)
    sending.wait()


def ring_all_reduce(tensor: Float[Tensor, "*shape"]) -> int:
    """Replace the tensor on every process by the sum over all; returns how many numbers it sent.

    The tensor is cut in n chunks. In n − 1 steps each chunk travels around the ring and grows by
    what each process has (reduce-scatter); in n − 1 more the finished chunks travel on
    (all-gather). A chunk's last bits depend on where its journey began, but are the same
    everywhere, since its sum is finished in one place.

    Raises:
        ValueError: the tensor is not contiguous, so that it has no flat view to write to.
    """
    if not tensor.is_contiguous():
        raise ValueError("the ring needs a contiguous tensor")
    rank, world = dist.get_rank(), dist.get_world_size()
    chunks = tensor.detach().view(-1).tensor_split(world)
    sent = 0
    for s in range(world - 1):  # reduce-scatter
        out, own = chunks[(rank - s) % world], chunks[(rank - s - 1) % world]
        arrived = torch.empty_like(own)
        _exchange(out, arrived, rank, world)
        torch.add(arrived, own, out=own)
        sent += out.numel()
    for s in range(world - 1):  # all-gather
        out, own = chunks[(rank + 1 - s) % world], chunks[(rank - s) % world]
        _exchange(out, own, rank, world)
        sent += out.numel()
    return sent
