"""Shapes, means of padded rows, and gradients in use."""

from itertools import zip_longest

import torch

from llmcourse.exercises.core import Exercise, Wrong, close, expect, raises

# ---- the broadcasting rule -------------------------------------------------------------------


def broadcast_shape_stub(a, b):
    raise NotImplementedError


def broadcast_shape(a, b):
    shape = []
    for m, n in zip_longest(reversed(a), reversed(b), fillvalue=1):
        if m != n and m != 1 and n != 1:
            raise ValueError(f"{m} and {n} do not fit, in {a} and {b}")
        shape.append(n if m == 1 else m)
    return tuple(reversed(shape))


def check_broadcast_shape(answer):
    fit = [((3, 1), (4,)), ((4,), (4,)), ((2, 3), (2, 3)), ((5, 1, 4), (3, 1)), ((), (2, 3)),
           ((1,), (7, 1)), ((4,), (2, 3, 4)), ((6, 1), (6,)), ((3, 1), (0,))]  # fmt: skip
    for a, b in fit:
        want = tuple(torch.broadcast_shapes(a, b))
        try:
            got = answer(a, b)
        except ValueError:
            expect(
                False,
                f"{a} and {b} do fit: compare the shapes from the right, and read a size that is "
                "missing on the left as 1",
            )
        if isinstance(got, list):
            expect(False, "a shape is a tuple, not a list")
        if isinstance(got, tuple) and got == want[::-1] != want:
            expect(False, "the sizes come out in reverse order: you compared from the right, so "
                   "turn the result round", expected=want, got=got)  # fmt: skip
        if 0 in want:
            expect(got == want, "a size of 1 stretches to the other size, even where that is 0",
                   expected=want, got=got)  # fmt: skip
        expect(got == want, f"wrong for {a} and {b}", expected=want, got=got)
    for a, b in [((3,), (4,)), ((2, 3), (2, 4)), ((2, 3), (2,)), ((5, 3), (2, 3)), ((0,), (2,))]:
        raises(ValueError, lambda a=a, b=b: answer(a, b), f"{a} and {b} do not fit: only equal "
               "sizes, or a size of 1, may meet; anything else is a ValueError")  # fmt: skip
    raises(
        ValueError,
        lambda: answer((4,), (2,)),
        "2 is not stretched to 4: a size is repeated only if it is 1",
    )


def _from_left(a, b):
    shape = []
    for m, n in zip_longest(a, b, fillvalue=1):
        if m != n and 1 not in (m, n):
            raise ValueError
        shape.append(n if m == 1 else m)
    return tuple(shape)


def _largest(a, b):
    pairs = zip_longest(reversed(a), reversed(b), fillvalue=1)
    return tuple(n if m == 1 else m if n == 1 else max(m, n) for m, n in pairs)[::-1]


def _not_turned_round(a, b):
    return broadcast_shape(a, b)[::-1]


def _maximum(a, b):
    broadcast_shape(a, b)
    return tuple(max(pair) for pair in zip_longest(reversed(a), reversed(b), fillvalue=1))[::-1]


def _tiled(a, b):
    pairs = list(zip_longest(reversed(a), reversed(b), fillvalue=1))
    for m, n in pairs:
        if 1 not in (m, n) and (m * n == 0 or max(m, n) % min(m, n)):
            raise ValueError
    return tuple(n if m == 1 else m for m, n in pairs)[::-1]


# ---- a mean without the padding --------------------------------------------------------------


def masked_mean_stub(x, mask):
    raise NotImplementedError


def masked_mean(x, mask):
    kept = torch.where(mask, x, 0.0)
    return kept.sum(dim=1) / mask.sum(dim=1)


def check_masked_mean(answer):
    x = torch.tensor([[2.0, 4.0, 6.0, 0.0], [1.0, 0.0, 5.0, 0.0], [3.0, 8.0, 0.0, -5.0]])
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 0], [1, 0, 0, 0]]).bool()
    want = torch.stack([row[keep].mean() for row, keep in zip(x, mask, strict=True)])
    kept = torch.where(mask, x, 0.0)
    close(
        answer(x.clone(), mask.clone()),
        want,
        f"wrong for x =\n{x}\nand mask =\n{mask}",
        suspects={
            "the padding is counted: divide by the number of places that are kept in the row, not "
            "by the row's length": kept.mean(dim=1),
            "this is a mean over all rows together; each row has its own": kept.sum() / mask.sum(),
            "the mean runs down the columns: dim names the axis that disappears, and T is axis "
            "1": kept.sum(dim=0) / mask.sum(dim=0),
            "the result keeps an axis of size 1, so the next operation would broadcast": want[
                :, None
            ],
            "a kept zero is a number like any other: count the mask, not the values": kept.sum(
                dim=1
            )
            / (kept != 0).sum(dim=1),
            "this keeps the padding and leaves the rest out": torch.where(mask, 0.0, x).sum(dim=1)
            / (~mask).sum(dim=1),
            "the padding enters the sum: set it to zero first": x.sum(dim=1) / mask.sum(dim=1),
        },
    )
    x[~mask] = torch.nan
    close(
        answer(x, mask),
        want,
        "padding may hold anything, also nan, and nan times 0 is nan: choose with torch.where "
        "instead of multiplying",
    )


def _mean_of_kept(x, mask):
    return torch.where(mask, x, 0.0).mean(dim=1)


def _multiplied(x, mask):
    return (x * mask).sum(dim=1) / mask.sum(dim=1)


def _one_mean(x, mask):
    return x[mask].mean()


def _columns(x, mask):
    return torch.where(mask, x, 0.0).sum(dim=0) / mask.sum(dim=0)


def _kept_axis(x, mask):
    return masked_mean(x, mask)[:, None]


def _nonzero(x, mask):
    kept = torch.where(mask, x, 0.0)
    return kept.sum(dim=1) / (kept != 0).sum(dim=1)


def _padding_summed(x, mask):
    return x.sum(dim=1) / mask.sum(dim=1)


# ---- the gradient in use ---------------------------------------------------------------------


def descend_stub(loss, start, lr, steps):
    raise NotImplementedError


def descend(loss, start, lr, steps):
    x = start.clone().requires_grad_()
    for _ in range(steps):
        loss(x).backward()
        with torch.no_grad():
            x -= lr * x.grad
        x.grad = None
    return x.detach()


def _bowl(x):
    return ((x - torch.tensor([1.0, -2.0])) ** 2 * torch.tensor([1.0, 3.0])).sum()


def _walk(change, start, lr, steps):
    """Where a walk ends whose step number k is `change(gradients so far)`."""
    x, seen = start.clone(), []
    for _ in range(steps):
        seen.append(2 * (x - torch.tensor([1.0, -2.0])) * torch.tensor([1.0, 3.0]))
        x = x - lr * change(seen)
    return x


def check_descend(answer):
    start, lr, steps = torch.tensor([3.0, 0.5]), 0.05, 4
    got = answer(_bowl, start.clone(), lr, steps)
    expect(isinstance(got, torch.Tensor), "it should return the tensor x", got=got)
    expect(not got.requires_grad, "the result should be free of its history: return x.detach()")
    close(
        got,
        _walk(lambda seen: seen[-1], start, lr, steps),
        f"wrong after {steps} steps from {start.tolist()}",
        suspects={
            "backward adds to x.grad: without clearing it after each step, all earlier gradients "
            "pull along": _walk(sum, start, lr, steps),
            "this walks uphill: the gradient points where the loss rises": _walk(
                lambda seen: -seen[-1], start, lr, steps
            ),
            "the gradient is taken once, at the start; it changes with x": _walk(
                lambda seen: seen[0], start, lr, steps
            ),
            "every step should have the length of lr times the gradient, not of lr alone": _walk(
                lambda seen: seen[-1].sign(), start, lr, steps
            ),
            "one step is missing": _walk(lambda seen: seen[-1], start, lr, steps - 1),
            "x has not moved": start,
        },
    )
    far = answer(_bowl, torch.zeros(2), 0.1, 60)
    close(far, torch.tensor([1.0, -2.0]), "60 steps should reach the bottom", atol=1e-4)
    got = answer(_bowl, torch.ones(2), 0.1, 0)
    close(got, torch.ones(2), "no steps should leave x where it starts")


def _never_cleared(loss, start, lr, steps):
    x = start.clone().requires_grad_()
    for _ in range(steps):
        loss(x).backward()
        with torch.no_grad():
            x -= lr * x.grad
    return x.detach()


def _uphill(loss, start, lr, steps):
    return descend(loss, start, -lr, steps)


def _attached(loss, start, lr, steps):
    return descend(loss, start, lr, steps).requires_grad_()


def _one_gradient(loss, start, lr, steps):
    x = start.clone().requires_grad_()
    loss(x).backward()
    return (x - steps * lr * x.grad).detach()


def _signs(loss, start, lr, steps):
    x = start.clone().requires_grad_()
    for _ in range(steps):
        (g,) = torch.autograd.grad(loss(x), x)
        x = (x - lr * g.sign()).detach().requires_grad_()
    return x.detach()


def _into_the_void(loss, start, lr, steps):
    x = start.clone().requires_grad_()
    for _ in range(steps):
        loss(x).backward()
        _ = x - lr * x.grad  # a new tensor, which nobody keeps
        x.grad = None
    return x.detach()


EXERCISES = (
    Exercise(
        id="primer.broadcast_shape",
        title="The shape of a sum",
        stub=broadcast_shape_stub,
        solution=broadcast_shape,
        check=check_broadcast_shape,
        hints=(
            "Write the two shapes below each other, flush right. What may stand above what?",
            "Walk from the last axis to the first. A missing size counts as 1. Equal sizes stay; "
            "a 1 takes the other's size; anything else is an error.",
            "`for m, n in zip_longest(reversed(a), reversed(b), fillvalue=1):` gives the pairs "
            "from the right; append `n if m == 1 else m`, and turn the list round at the end.",
        ),
        wrong=(
            Wrong(_from_left, "from the right"),
            Wrong(_largest, "only equal sizes"),
            Wrong(_not_turned_round, "turn the result round"),
            Wrong(_maximum, "even where that is 0"),
            Wrong(_tiled, "2 is not stretched to 4"),
        ),
    ),
    Exercise(
        id="primer.masked_mean",
        title="A mean without the padding",
        stub=masked_mean_stub,
        solution=masked_mean,
        check=check_masked_mean,
        hints=(
            "A mean is a sum over a number. Both must leave the padding out.",
            "Put zero where the mask is False; sum each row; divide by how many places of the row "
            "the mask keeps.",
            "`torch.where(mask, x, 0.0).sum(dim=1)` is the sum of each row. Summing a mask counts "
            "its True places.",
        ),
        wrong=(
            Wrong(_mean_of_kept, "the padding is counted"),
            Wrong(_multiplied, "nan times 0 is nan"),
            Wrong(_one_mean, "all rows together"),
            Wrong(_columns, "down the columns"),
            Wrong(_kept_axis, "keeps an axis of size 1"),
            Wrong(_nonzero, "a kept zero"),
            Wrong(_padding_summed, "the padding enters the sum"),
        ),
    ),
    Exercise(
        id="primer.descend",
        title="Walk downhill",
        stub=descend_stub,
        solution=descend,
        check=check_descend,
        hints=(
            "Each step asks for the gradient where x is now, and moves x against it.",
            "Copy start and let it require a gradient. Each step: loss, backward, move x by "
            "−lr times x.grad with gradients off, clear x.grad.",
            "Inside the loop: `loss(x).backward()`, then `with torch.no_grad(): x -= lr * x.grad`, "
            "then `x.grad = None`. At the end `return x.detach()`.",
        ),
        wrong=(
            Wrong(_never_cleared, "without clearing it"),
            Wrong(_uphill, "uphill"),
            Wrong(_attached, "free of its history"),
            Wrong(_one_gradient, "taken once"),
            Wrong(_signs, "lr alone"),
            Wrong(_into_the_void, "x has not moved"),
        ),
    ),
)
