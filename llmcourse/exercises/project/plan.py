"""Project of the part on mathematics: a fixed budget of floating-point operations."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F

from llmcourse.exercises.core import Exercise, Wrong, close, expect
from llmcourse.exercises.project.budget import FLOPS, Model, Plan, spend
from llmcourse.exercises.project.corpus import corpus, judge

PLAN_BAR = 80.0  # bits a story above the truth; an n-gram of order 5 needs some 100


def plan_stub(flops, vocab):
    """Returns the Plan by which `flops` are spent on a model of `vocab` tokens."""
    raise NotImplementedError


def std(fan_in):
    return fan_in**-0.5


def schedule(spent):
    return min(1.0, (spent + 0.005) / 0.05) * (1 - spent)  # warm up, then straight to zero


def gradient(logits, targets):
    q = logits.softmax(-1)
    q[torch.arange(len(targets)), targets] -= 1
    return q / len(targets)


def adam(w, g, memory, rate):
    memory["t"] = t = memory.get("t", 0) + 1
    memory["m"] = 0.9 * memory.get("m", torch.zeros_like(w)) + 0.1 * g
    memory["v"] = 0.95 * memory.get("v", torch.zeros_like(w)) + 0.05 * g * g
    mean, size = memory["m"] / (1 - 0.9**t), (memory["v"] / (1 - 0.95**t)).sqrt()
    return w - rate * mean / (size + 1e-8)


def orthogonal(g):
    """Every singular value of a matrix driven to about 1 (Newton–Schulz, five rounds)."""
    x = g.T if g.shape[0] > g.shape[1] else g
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.T if g.shape[0] > g.shape[1] else x


def plan(flops, vocab):
    def update(w, g, memory, rate):
        if w.shape[0] == vocab or w.shape[0] == 128:  # the tables of words and of places
            return adam(w, g, memory, 0.3 * rate)
        memory["m"] = 0.95 * memory.get("m", torch.zeros_like(w)) + g
        step = orthogonal(g + 0.95 * memory["m"])
        return w - rate * math.sqrt(max(1.0, w.shape[0] / w.shape[1])) * step

    return Plan(
        width=64, heads=4, layers=2, batch=8, rate=2e-2,
        std=std, schedule=schedule, gradient=gradient, update=update,
    )  # fmt: skip


def _check_gradient(gradient: Callable) -> None:
    """The plan's gradient of the mean loss against autograd, in float64."""
    chance = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 5, generator=chance, dtype=torch.double).requires_grad_()
    targets = torch.tensor([0, 4, 2, 2, 1, 3])
    (want,) = torch.autograd.grad(F.cross_entropy(logits, targets), logits)
    z = logits.detach()
    q, hot = z.softmax(-1), F.one_hot(targets, 5).double()
    got = gradient(z.clone(), targets.clone())
    expect(isinstance(got, torch.Tensor), "gradient should return a tensor", got=type(got).__name__)
    close(
        got, want, "gradient differs from autograd's on the mean cross-entropy", atol=1e-10,
        suspects={
            "gradient belongs to the sum of the losses: divide by the number of targets": q - hot,
            "gradient has the wrong sign: it should point uphill": -want,
            "gradient has no softmax: logits are not probabilities": (z - hot) / 6,
            "gradient leaves out the − 1 at the target": q / 6,
        },
    )  # fmt: skip


def _check_functions(plan: Plan) -> None:
    _check_gradient(plan.gradient)
    for fan_in in (16, 64, 256):
        value = float(plan.std(fan_in))
        expect(0 < value < math.inf, f"std({fan_in}) should be positive and finite", got=value)
    shares = [float(plan.schedule(spent)) for spent in (0.0, 0.1, 0.5, 0.9, 0.999)]
    expect(
        all(0 <= share <= 1 for share in shares) and max(shares) > 0,
        "schedule should give shares between 0 and 1, not all 0", got=shares,
    )  # fmt: skip
    w = torch.ones(3, 2)
    one, two = {}, {}
    first = plan.update(w.clone(), torch.full((3, 2), 0.5), one, 0.01)
    plan.update(w.clone(), torch.full((3, 2), -2.0), two, 0.01)
    again = plan.update(w.clone(), torch.full((3, 2), 0.5), {}, 0.01)
    expect(isinstance(first, torch.Tensor) and first.shape == w.shape,
           "update should return the new parameter, of the old one's shape",
           got=getattr(first, "shape", type(first).__name__))  # fmt: skip
    expect(
        torch.equal(first, again),
        "update remembers from one parameter to the next: what it keeps belongs into `memory`",
    )
    expect(
        bool((first < w).all()),
        "update should go downhill: where the gradient is positive, the parameter falls",
    )


def check_plan(answer):
    given = corpus()
    found = answer(FLOPS, given.vocab)
    expect(isinstance(found, Plan), "return a Plan", got=type(found).__name__)
    _check_functions(found)
    model: Model = spend(found, given.train, given.vocab).model
    nats = []
    with torch.no_grad():
        for row in given.test:
            logits = model(torch.tensor([row[:-1]]))[0].double()
            nats.append(F.cross_entropy(logits, torch.tensor(row[1:]), reduction="none").numpy())
    judge(nats, PLAN_BAR)


def _changed(**changes) -> Callable:
    def answer(flops, vocab):
        good = plan(flops, vocab)
        fields = {name: getattr(good, name) for name in Plan.__dataclass_fields__}
        return Plan(**(fields | changes))

    return answer


def _sgd(w, g, memory, rate):
    return w - rate * g


def _too_wide(flops, vocab):
    return _changed(width=256, layers=4, batch=32, update=_sgd)(flops, vocab)


def _sum_of_losses(flops, vocab):
    return _changed(gradient=lambda z, y: gradient(z, y) * len(y))(flops, vocab)


def _uphill(flops, vocab):
    return _changed(update=lambda w, g, memory, rate: w + rate * g)(flops, vocab)


def _no_target(flops, vocab):
    return _changed(gradient=lambda z, y: z.softmax(-1) / len(y))(flops, vocab)


def _shared_memory(flops, vocab):
    kept = {}

    def update(w, g, memory, rate):
        kept["m"] = 0.9 * kept["m"] + g if "m" in kept and kept["m"].shape == g.shape else g
        return w - rate * kept["m"]

    return _changed(update=update)(flops, vocab)


PLAN = Exercise(
    id="project.plan",
    title="A fixed budget of FLOPs",
    stub=plan_stub,
    solution=plan,
    helpers=(std, schedule, gradient, adam, orthogonal),
    check=check_plan,
    hints=(
        "First the four functions, each tested alone. Then the shape: a model that is too large "
        "sees too few stories, one that is too small cannot hold them. Small batches give more "
        "steps. Try plans with `spend` on a tenth of the budget before you pay the whole.",
        "Start with std = 1/√fan_in, Adam with a rate near 0.005, a short warm-up and a decay to "
        "zero, a width of 48 to 96, two layers, 8 stories a step. Then orthogonalise the updates "
        "of the blocks' matrices: it costs FLOPs, and is worth them.",
        "plan: width 64, heads 4, layers 2, batch 8, rate 0.02. update: the two tables (shape[0] "
        "is vocab or 128) by Adam at 0.3 of the rate; every other matrix by Muon: momentum 0.95, "
        "Nesterov, five rounds of Newton–Schulz, times √max(1, rows / columns).",
    ),
    wrong=(
        Wrong(_too_wide, "not below the bar"),
        Wrong(_sum_of_losses, "the sum of the losses"),
        Wrong(_uphill, "go downhill"),
        Wrong(_no_target, "the − 1 at the target"),
        Wrong(_shared_memory, "belongs into `memory`"),
    ),
    seconds=900.0,
    scored=True,
)
