"""Exercises of the chapter `appendix/primer`."""

from itertools import zip_longest

import numpy as np
import torch

from llmcourse.exercises.core import Exercise, Wrong, close, expect, raises

__all__ = ["EXERCISES"]

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


# ---- Bayes' rule from log values -------------------------------------------------------------


def posterior_stub(log_prior, log_likelihood):
    raise NotImplementedError


def posterior(log_prior, log_likelihood):
    joint = log_prior + log_likelihood
    weight = np.exp(joint - joint.max())
    return weight / weight.sum()


def check_posterior(answer):
    prior, likelihood = np.array([0.5, 0.3, 0.2]), np.array([0.02, 0.9, 0.4])
    log_prior, log_likelihood = np.log(prior), np.log(likelihood)
    want = prior * likelihood / (prior * likelihood).sum()
    close(
        answer(log_prior.copy(), log_likelihood.copy()),
        want,
        f"wrong for the prior {prior} and the likelihood {likelihood}",
        suspects={
            "the prior is left out: this is the likelihood alone, made to sum to 1": likelihood
            / likelihood.sum(),
            "prior and likelihood are added; they multiply, so their logarithms add": (
                prior + likelihood
            )
            / (prior + likelihood).sum(),
            "this does not sum to 1: divide by the sum over all causes": prior * likelihood,
            "these are logarithms of the answer: one exp is missing": np.log(want),
            "the best cause gets everything: a posterior keeps the others too": np.eye(3)[1],
            "the likelihood is divided out; Bayes multiplies by it": (prior / likelihood)
            / (prior / likelihood).sum(),
        },
    )
    far = "exp of {0} is {1}: subtract the largest log value before exp, which changes nothing else"
    with np.errstate(all="ignore"):
        for shift, becomes in ((-2000.0, "0"), (2000.0, "infinite")):
            got = answer(log_prior.copy(), log_likelihood + shift)
            close(got, want, far.format(int(shift), becomes))
        got = answer(np.log([0.9, 0.1]), np.array([-1500.0, -1490.0]))
        apart = answer(np.log([0.5, 0.5]), np.array([-1000.0, 0.0]))
    close(apart, np.array([0.0, 1.0]), "wrong where one cause is e^1000 times as likely")
    odds = np.exp(10) / 9
    close(got, np.array([1, odds]) / (1 + odds), "wrong for the log values -1500 and -1490")
    got = answer(np.log([0.999, 0.001]), np.log([0.5, 0.5]))
    close(got, np.array([0.999, 0.001]), "evidence that is equally likely should change nothing")


def _no_prior(log_prior, log_likelihood):
    return posterior(0 * log_prior, log_likelihood)


def _added(log_prior, log_likelihood):
    total = np.exp(log_prior) + np.exp(log_likelihood)
    return total / total.sum()


def _unnormalised(log_prior, log_likelihood):
    return np.exp(log_prior + log_likelihood)


def _underflows(log_prior, log_likelihood):
    joint = np.exp(log_prior + log_likelihood)
    return joint / joint.sum()


def _still_logs(log_prior, log_likelihood):
    return np.log(posterior(log_prior, log_likelihood))


def _winner(log_prior, log_likelihood):
    return np.eye(len(log_prior))[np.argmax(log_prior + log_likelihood)]


# ---- the bootstrap ---------------------------------------------------------------------------


def interval_stub(values, statistic, resamples, seed):
    raise NotImplementedError


def interval(values, statistic, resamples, seed):
    rng = np.random.default_rng(seed)
    n = len(values)
    again = [statistic(rng.choice(values, size=n)) for _ in range(resamples)]
    return np.quantile(again, 0.025), np.quantile(again, 0.975)


def check_interval(answer):
    values = np.random.default_rng(5).exponential(2.0, 40).round(2)
    for statistic, name in ((np.mean, "mean"), (np.median, "median")):
        low, high = interval(values, statistic, 4000, 1)
        again = [statistic(np.random.default_rng(k).choice(values, 40)) for k in range(1000)]
        spread, centre = np.std(again), statistic(values)
        got = np.array(answer(values.copy(), statistic, 4000, 0), dtype=float)
        expect(got.shape == (2,), "return two numbers: low and high", got=got)
        expect(got[0] < got[1], "low comes first, and some of the resamples should differ: draw "
               "with replacement", got=got)  # fmt: skip
        close(
            got,
            np.array([low, high]),
            f"wrong ends for the {name} of 40 values; 4,000 resamples leave them a little room",
            atol=0.17 * spread if name == "mean" else 0.35 * spread,
            suspects={
                "this is where the values lie, not where their mean would: apply the statistic to "
                "each resample": np.quantile(values, [0.025, 0.975]),
                "this holds 90 % of the resamples: cut off 2.5 % at each end": np.quantile(
                    again, [0.05, 0.95]
                ),
                "one standard deviation to each side holds about two thirds, not 95 %": np.array(
                    [centre - spread, centre + spread]
                ),
                "this is the interval of the mean, but another statistic was asked for": np.array(
                    interval(values, np.mean, 2000, 1)
                ),
                "resamples should be as long as the sample: shorter ones vary more": _shorter(
                    values, statistic, 2000, 0
                ),
            },
        )
    few = np.array(answer(values.copy(), np.mean, 40, 3))
    expect(
        not np.allclose(few, answer(values.copy(), np.mean, 40, 4)),
        "another seed should draw other resamples: is `seed` used?",
    )
    expect(
        np.allclose(few, answer(values.copy(), np.mean, 40, 3)),
        "the same seed should give the same interval",
    )
    calls = []
    answer(values.copy(), lambda v: calls.append(len(v)) or v.mean(), 40, 0)
    expect(
        calls.count(40) in (40, 41),
        "`resamples` says how many times to draw, and each resample has as many values as the "
        "sample",
        expected=40,
        got=calls.count(40),
    )


def _of_values(values, statistic, resamples, seed):
    return tuple(np.quantile(values, [0.025, 0.975]))


def _ninety(values, statistic, resamples, seed):
    rng = np.random.default_rng(seed)
    again = [statistic(rng.choice(values, len(values))) for _ in range(resamples)]
    return tuple(np.quantile(again, [0.05, 0.95]))


def _without_replacement(values, statistic, resamples, seed):
    rng = np.random.default_rng(seed)
    again = [np.median(rng.permutation(values)) for _ in range(resamples)]
    return tuple(np.quantile(again, [0.025, 0.975]))


def _one_deviation(values, statistic, resamples, seed):
    rng = np.random.default_rng(seed)
    spread = np.std([statistic(rng.choice(values, len(values))) for _ in range(resamples)])
    return statistic(values) - spread, statistic(values) + spread


def _always_mean(values, statistic, resamples, seed):
    return interval(values, np.mean, resamples, seed)


def _shorter(values, statistic, resamples, seed):
    rng = np.random.default_rng(seed)
    again = [statistic(rng.choice(values, len(values) // 2)) for _ in range(resamples)]
    return tuple(np.quantile(again, [0.025, 0.975]))


def _seed_fixed(values, statistic, resamples, seed):
    return interval(values, statistic, resamples, 0)


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
    Exercise(
        id="primer.posterior",
        title="Bayes' rule from log values",
        stub=posterior_stub,
        solution=posterior,
        check=check_posterior,
        hints=(
            "Prior times likelihood, divided by its sum over all causes. In logarithms the product "
            "is a sum. What happens to exp(−2000)?",
            "Add the log values; subtract the largest of them from all; take exp; divide by the "
            "sum.",
            "`joint = log_prior + log_likelihood`, then `weight = np.exp(joint - joint.max())`. "
            "What is left is to make the weights sum to 1.",
        ),
        wrong=(
            Wrong(_no_prior, "the prior is left out"),
            Wrong(_added, "they multiply"),
            Wrong(_unnormalised, "does not sum to 1"),
            Wrong(_underflows, "subtract the largest"),
            Wrong(_still_logs, "one exp is missing"),
            Wrong(_winner, "keeps the others"),
        ),
    ),
    Exercise(
        id="primer.interval",
        title="A bootstrap interval",
        stub=interval_stub,
        solution=interval,
        check=check_interval,
        hints=(
            "The sample stands for the world. Draw new samples from it, as long as it is, and look "
            "how much the statistic moves.",
            "`resamples` times: draw len(values) values with replacement, apply the statistic. "
            "Return what cuts off 2.5 % of the results at each end.",
            "`rng = np.random.default_rng(seed)`; one resample is `rng.choice(values, "
            "size=len(values))`; the ends are `np.quantile(again, 0.025)` and "
            "`np.quantile(again, 0.975)`.",
        ),
        wrong=(
            Wrong(_of_values, "where the values lie"),
            Wrong(_ninety, "90 %"),
            Wrong(_without_replacement, "with replacement"),
            Wrong(_one_deviation, "two thirds"),
            Wrong(_always_mean, "another statistic"),
            Wrong(_shorter, "as long as the sample"),
            Wrong(_seed_fixed, "is `seed` used"),
        ),
    ),
)
