"""What a computation keeps in memory: bytes saved for the backward pass, and bytes alive over time.

Example:
    >>> import torch
    >>> x = torch.ones(1000, requires_grad=True)
    >>> saved_bytes(lambda: x.exp().sum())  # exp keeps its result: 1,000 numbers of 4 bytes
    4000
"""

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["LiveBytes", "saved_bytes"]


def saved_bytes(run: Callable[[], Any], ignore: Iterable[Tensor] = ()) -> int:
    """Bytes that autograd keeps for the backward pass of `run()`, each storage once.

    `ignore` are tensors that exist anyway: parameters and tables. A view keeps its whole storage.
    What `torch.utils.checkpoint` holds is not seen: it is no saved tensor (see `LiveBytes`).
    """
    known = {t.untyped_storage().data_ptr() for t in ignore}
    kept: dict[int, int] = {}
    held = []  # so that no storage is freed and its address used again

    def pack(t: Tensor) -> Tensor:
        storage = t.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
            held.append(t)
        return t

    with saved_tensors_hooks(pack, lambda t: t):
        out = run()
    del out
    return sum(kept.values())


class LiveBytes(TorchDispatchMode):
    """Counts, after every operation, the bytes of tensors made inside that are still alive.

    `timeline` holds one number an operation, backward passes included; what existed before does
    not count. Memory that an operation uses only inside itself is not seen.

        with LiveBytes() as live:
            loss = model(ids, targets)[1]
            loss.backward()
        print(live.peak)
    """

    def __init__(self) -> None:
        super().__init__()
        self.timeline: list[int] = []
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        # The weak references are kept, or an address could come back as another storage's.
        self._before: dict[int, StorageWeakRef] = {}

    @property
    def peak(self) -> int:
        """The most bytes alive at once."""
        return max(self.timeline, default=0)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        self._prune()
        for t in tree_leaves((args, kwargs or {})):
            if isinstance(t, Tensor):
                ref = StorageWeakRef(t.untyped_storage())
                if ref.cdata not in self._alive:
                    self._before[ref.cdata] = ref
        out = func(*args, **(kwargs or {}))
        for t in tree_leaves(out):
            if isinstance(t, Tensor):
                storage = t.untyped_storage()
                ref = StorageWeakRef(storage)
                if ref.cdata not in self._before:
                    self._alive[ref.cdata] = (ref, storage.nbytes())
        self.timeline.append(sum(n for _, n in self._alive.values()))
        return out

    def _prune(self) -> None:
        self._alive = {k: v for k, v in self._alive.items() if not v[0].expired()}
