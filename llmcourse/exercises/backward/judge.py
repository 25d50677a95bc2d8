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
        close(g, w, f"the gradient of {name} differs from autograd's", suspects=known, atol=1e-9)
