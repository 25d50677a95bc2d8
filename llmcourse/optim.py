"""Optimisers: who moves the parameters once backpropagation has found the gradients.

`SGD`, `AdamW` and `Muon` are written out here and tested equal to torch's own. All keep torch's
`Optimizer` face (parameter groups, `zero_grad`, `state_dict`), so each may be swapped for any
other. Schedules are plain functions from a step to the fraction of the peak learning rate.
"""

import math
from collections import defaultdict
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from llmcourse.distributed import part_like, whole

__all__ = [
    "SGD",
    "AdamW",
    "Muon",
    "bf16_is_fast",
    "clip_gradients",
    "constant",
    "newton_schulz",
    "optimizers",
    "parameter_groups",
    "warmup_cosine",
    "wsd",
]


def bf16_is_fast(device: torch.device | str = "cpu") -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware.

    A CPU without such instructions emulates them, slower than float32.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if kind != "cpu":
        return False
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # private, so asked politely
    return any(getattr(torch.cpu, probe, bool)() for probe in probes)


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < math.inf:
            raise ValueError(f"{name} must be finite and at least 0, got {value}")


def _fractions(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} must lie in [0, 1), got {value}")


class SGD(torch.optim.Optimizer):
    """Gradient descent, with momentum if asked for (Polyak, 1964).

    With gradient g and velocity u, which starts at 0:

        u ← μu + g
        w ← w − ηu              or w − η(g + μu) with `nesterov`: one step ahead

    With `momentum` 0 this is w − ηg, and nothing is remembered.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor([1.0]))
        >>> descent = SGD([w], lr=0.1, momentum=0.9)
        >>> for _ in range(2):
        ...     w.grad = torch.tensor([1.0])
        ...     descent.step()
        >>> w.data  # the first step is 0.1 long, the second 0.19
        tensor([0.7100])
    """

    def __init__(
        self, params: Iterable, lr: float = 1e-2, momentum: float = 0.0, nesterov: bool = False
    ) -> None:
        _positive(lr=lr)
        _fractions(momentum=momentum)
        if nesterov and not momentum:
            raise ValueError(f"nesterov needs a momentum above 0, got {momentum}")
        super().__init__(params, dict(lr=lr, momentum=momentum, nesterov=nesterov))

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            mu = group["momentum"]
            w = [p for p in group["params"] if p.grad is not None]
            update = [p.grad for p in w]
            if mu and w:
                for p in w:
                    if not self.state[p]:
                        self.state[p]["u"] = torch.zeros_like(p)
                u = [self.state[p]["u"] for p in w]
                torch._foreach_mul_(u, mu)
                torch._foreach_add_(u, update)
                update = torch._foreach_add(update, u, alpha=mu) if group["nesterov"] else u
            if w:
                torch._foreach_add_(w, update, alpha=-group["lr"])


class AdamW(torch.optim.Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

    With gradient g and step t, element by element:

        m ← β₁m + (1 − β₁)g          the mean gradient, remembered over 1/(1 − β₁) steps
        v ← β₂v + (1 − β₂)g²         the mean squared gradient
        w ← (1 − ηλ)w − η · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)

    Example:
        >>> w = torch.nn.Parameter(torch.ones(2))
        >>> w.grad = torch.tensor([3.0, -0.1])
        >>> AdamW([w], lr=0.1, weight_decay=0.0).step()
        >>> w.data.round(decimals=3)  # the first step has size lr, whatever the gradient's size
        tensor([0.9000, 1.1000])
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.1,
    ) -> None:
        _positive(lr=lr, eps=eps, weight_decay=weight_decay)
        _fractions(beta1=betas[0], beta2=betas[1])
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            by_step = defaultdict(list)  # a parameter that missed a gradient is behind the others
            for p in group["params"]:
                if p.grad is not None:
                    if not self.state[p]:
                        self.state[p].update(step=0, m=torch.zeros_like(p), v=torch.zeros_like(p))
                    self.state[p]["step"] += 1
                    by_step[self.state[p]["step"]].append(p)
            for t, params in by_step.items():
                self._move(params, t, group["lr"], *group["betas"], group)

    def _move(self, w: list, t: int, lr: float, beta1: float, beta2: float, group: dict) -> None:
        g = [p.grad for p in w]
        m = [self.state[p]["m"] for p in w]
        v = [self.state[p]["v"] for p in w]
        # _foreach_ updates a whole list in one call: Python's cost is paid once, not per tensor.
        torch._foreach_mul_(w, 1 - lr * group["weight_decay"])
        torch._foreach_lerp_(m, g, 1 - beta1)
        torch._foreach_mul_(v, beta2)
        torch._foreach_addcmul_(v, g, g, 1 - beta2)
        size = torch._foreach_sqrt(v)
        torch._foreach_div_(size, math.sqrt(1 - beta2**t))
        torch._foreach_add_(size, group["eps"])
        torch._foreach_addcdiv_(w, m, size, -lr / (1 - beta1**t))


def newton_schulz(
    matrices: Float[Tensor, "N R C"], steps: int = 5, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "N R C"]:
    """Replace each matrix by a nearly orthogonal one with the same singular vectors.

    G = USVᵀ becomes about UVᵀ: each singular value is driven into roughly [0.7, 1.2] by iterating
    the odd polynomial ax + bx³ + cx⁵, which needs only matrix products. Jordan et al. (2024).
    """
    a, b, c = 3.4445, -4.7750, 2.0315  # steepest at 0, so that small singular values rise fast
    x = matrices.to(dtype)
    if tall := x.shape[-2] > x.shape[-1]:
        x = x.mT
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)  # spectral norm ≤ Frobenius norm
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum, then orthogonalise: every direction of a matrix moves by an equal amount.

    For hidden matrices only; embeddings, gains and biases go to `AdamW`. Matrices of one shape are
    orthogonalised as one batch. Jordan et al. (2024), https://kellerjordan.github.io/posts/muon/

    Args:
        scale: "match_rms_adamw" gives updates the size AdamW's have, 0.2·√max(rows, columns), so
            both may share a learning rate (Liu et al., 2025); "original" is √max(1, rows/columns).
        dtype: arithmetic of the orthogonalisation; by default bfloat16 where hardware has it.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 1e-3,
        momentum: float = 0.95,
        nesterov: bool = True,
        weight_decay: float = 0.1,
        steps: int = 5,
        scale: str = "match_rms_adamw",
        dtype: torch.dtype | None = None,
    ) -> None:
        _positive(lr=lr, weight_decay=weight_decay, steps=steps)
        _fractions(momentum=momentum)
        if scale not in ("match_rms_adamw", "original"):
            raise ValueError(f"scale must be 'match_rms_adamw' or 'original', got {scale!r}")
        super().__init__(
            params,
            dict(lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay,
                 steps=steps, scale=scale, dtype=dtype),
        )  # fmt: skip
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(f"Muon moves matrices only, got a parameter of {p.ndim} axes")

    @torch.no_grad()
    def step(self) -> None:
        """Move every matrix that has a gradient."""
        for group in self.param_groups:
            lr, beta = group["lr"], group["momentum"]
            by_shape = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    by_shape[p.shape].append(p)
            for (rows, columns), params in by_shape.items():
                grads = [p.grad for p in params]
                for p in params:
                    if not self.state[p]:
                        self.state[p]["m"] = torch.zeros_like(p)
                m = [self.state[p]["m"] for p in params]
                torch._foreach_lerp_(m, grads, 1 - beta)
                update = torch._foreach_lerp(grads, m, beta) if group["nesterov"] else m
                dtype = group["dtype"] or (
                    torch.bfloat16 if bf16_is_fast(params[0].device) else torch.float32
                )
                # Singular vectors belong to the whole matrix: where it is sharded, put it together.
                full = torch.stack([whole(u) for u in update])
                full = newton_schulz(full, group["steps"], dtype).to(m[0].dtype)
                update = [part_like(u, p) for u, p in zip(full.unbind(), params, strict=True)]
                ratio = (
                    0.2 * math.sqrt(max(rows, columns))
                    if group["scale"] == "match_rms_adamw"
                    else math.sqrt(max(1, rows / columns))
                )
                torch._foreach_mul_(params, 1 - lr * group["weight_decay"])
                torch._foreach_add_(params, update, alpha=-lr * ratio)


def parameter_groups(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Sort a model's parameters into `hidden` matrices, `embedding` tables and `gain` vectors.

    The output head counts as an embedding: like one, it has a row for each token. It is known as
    the matrix of that height directly under the model, since no module's name is a contract.
    """
    embeddings = [m for m in model.modules() if isinstance(m, nn.Embedding)]
    tables = {id(m.weight) for m in embeddings}
    vocab = max((m.num_embeddings for m in embeddings), default=0)
    groups: dict[str, list[nn.Parameter]] = {"hidden": [], "embedding": [], "gain": []}
    for name, parameter in model.named_parameters():
        head = name.count(".") == 1 and parameter.shape[0] == vocab
        if not parameter.requires_grad:
            continue
        if parameter.ndim != 2:
            groups["gain"].append(parameter)  # of any shape: one number scales one channel
        elif id(parameter) in tables or head:
            groups["embedding"].append(parameter)
        else:
            groups["hidden"].append(parameter)
    return groups


def optimizers(
    model: nn.Module,
    kind: str = "adamw",
    *,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.95),
    weight_decay: float = 0.1,
) -> list[torch.optim.Optimizer]:
    """The optimisers that together move all of a model: AdamW, or Muon beside AdamW.

    Gains and biases are not decayed: pulling a gain of 1 towards 0 shrinks the layer, it does not
    simplify it. Each group remembers its peak rate as `peak`, which a schedule scales.

    Raises:
        ValueError: `kind` is neither "adamw" nor "muon".
    """
    if kind not in ("adamw", "muon"):
        raise ValueError(f"optimizer must be 'adamw' or 'muon', got {kind!r}")
    groups = parameter_groups(model)
    decayed = groups["embedding"] + ([] if kind == "muon" else groups["hidden"])
    adam = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": groups["gain"], "weight_decay": 0.0},
    ]
    adam = [g for g in adam if g["params"]]
    made: list[torch.optim.Optimizer] = []
    if adam:
        made.append(AdamW(adam, lr=lr, betas=betas))
    if kind == "muon" and groups["hidden"]:
        made.append(Muon(groups["hidden"], lr=lr, weight_decay=weight_decay))
    for optimizer in made:
        for group in optimizer.param_groups:
            group["peak"] = lr
    return made


def _check_schedule(step: int, steps: int, warmup: int, floor: float) -> None:
    if step < 0 or steps < 1:
        raise ValueError(f"step must be ≥ 0 and steps ≥ 1, got {step} and {steps}")
    if not 0 <= warmup <= steps:
        raise ValueError(f"warmup must lie in 0..steps, got {warmup} with steps={steps}")
    if not 0 <= floor <= 1:
        raise ValueError(f"floor must lie in [0, 1], got {floor}")


def constant(step: int, *, steps: int, warmup: int = 0, floor: float = 0.0) -> float:
    """Rise linearly over `warmup` steps, then stay. Returns the fraction of the peak rate."""
    _check_schedule(step, steps, warmup, floor)
    return min(1.0, (step + 1) / warmup) if warmup else 1.0


def warmup_cosine(step: int, *, steps: int, warmup: int = 0, floor: float = 0.1) -> float:
    """Rise linearly over `warmup` steps, then fall along half a cosine to `floor` at the last step.

    Steps count from 0, and step 0 already moves (1/warmup, not 0). Returns the fraction of the
    peak rate; past the end it stays at `floor`. Loshchilov and Hutter (2017).
    """
    _check_schedule(step, steps, warmup, floor)
    if step < warmup:
        return (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, steps - 1 - warmup))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))


def wsd(step: int, *, steps: int, warmup: int = 0, decay: float = 0.2, floor: float = 0.0) -> float:
    """Warm up, stay stable, then decay linearly over the last `decay` of all steps.

    Until the decay starts the total need not be known: one stable run may be branched into many
    lengths. Hu et al. (2024). Returns the fraction of the peak rate.
    """
    _check_schedule(step, steps, warmup, floor)
    if not 0 <= decay <= 1:
        raise ValueError(f"decay must lie in [0, 1], got {decay}")
    rise = (step + 1) / warmup if step < warmup else 1.0
    length = decay * steps
    left = steps - step  # 1 at the last step, so the last step still moves
    fall = max(0.0, left / length) if left < length else 1.0
    return min(rise, floor + (1 - floor) * fall)


@torch.no_grad()
def clip_gradients(parameters: Iterable[nn.Parameter], limit: float | None = 1.0) -> float:
    """Scale all gradients together so that their joint norm is at most `limit`; returns the norm
    before clipping. The direction stays as it was. `None` measures without clipping.

    Pascanu, Mikolov and Bengio (2013). A norm that is not finite leaves the gradients untouched:
    the caller must look at it.
    """
    if limit is not None and limit <= 0:
        raise ValueError(f"limit must be above 0, got {limit}")
    grads = [p.grad for p in parameters if p.grad is not None]
    if not grads:
        return 0.0
    norm = float(whole(torch.stack(torch._foreach_norm(grads)).norm()))  # over all shards
    if limit is not None and limit < norm < math.inf:
        torch._foreach_mul_(grads, limit / norm)
    return norm
