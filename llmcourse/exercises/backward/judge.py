"""How a derivation is judged: by autograd in double precision, one returned gradient at a time."""

import torch

from llmcourse.exercises.core import close, expect


def drawn(*shapes, seed=0, scale=1.0):
    """Normal float64 tensors of the shapes."""
    generator = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(*s, generator=generator, dtype=torch.float64) for s in shapes]


def truth(forward, grad, *inputs):
    """Autograd's derivatives of the loss by each input, where `grad` arrives at the output."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    return torch.autograd.grad(forward(*leaves), leaves, grad)


def general(g, wanted, i, names):
    """What can be said of any wrong gradient: another one, transposed, or off by a factor."""
    w, known = wanted[i], {}
    for name, other in zip(names, wanted, strict=True):
        if other is not w:
            order = ", ".join(names)
            known[f"this is the gradient of {name}: return them in the order {order}"] = other
    if w.ndim == 2:
        known["this is the transpose: a gradient has the shape of what it belongs to"] = w.T
    if isinstance(g, torch.Tensor) and g.shape == w.shape and bool((w * w).sum() > 0):
        factor = float((g * w).sum() / (w * w).sum())
        known[
            f"right but for a constant: each number is {factor:.4g} times what it should be. Look "
            "for a sign, a √K, or a mean in place of a sum"
        ] = factor * w
    return known


def judge(got, want, names, suspects):
    """Compare tuples of gradients; `suspects` maps a diagnosis to what a mistake would return."""
    expect(
        isinstance(got, tuple | list) and len(got) == len(want),
        f"return the {len(want)} gradients, of {', '.join(names)}, as a tuple",
        got=type(got).__name__,
    )
    for i, (name, g, w) in enumerate(zip(names, got, want, strict=True)):
        # A mistake that leaves this gradient right, or of another shape, says nothing about it.
        known = {d: s[i] for d, s in suspects.items() if s[i] is not None}
        known |= general(g, want, i, names)
        close(g, w, f"the gradient of {name} differs from autograd's", suspects=known, atol=1e-9)
