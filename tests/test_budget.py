"""Laws of the machine that spends a plan's FLOPs."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from llmcourse.exercises.project.budget import Plan, spend

VOCAB = 11
ROWS = [[0, *((i * j) % 9 + 2 for j in range(1, 12)), 1] for i in range(1, 9)]  # all of 13 ids


def autograds(z, y):
    z = z.clone().requires_grad_()
    with torch.enable_grad():
        return torch.autograd.grad(F.cross_entropy(z, y), z)[0]


PLAN = Plan(
    width=8, heads=2, layers=1, batch=4, rate=0.1,
    std=lambda fan_in: fan_in**-0.5, schedule=lambda spent: 1 - spent,
    gradient=autograds, update=lambda w, g, memory, rate: w - rate * g,
)  # fmt: skip


def step_cost(plan: Plan, length: int) -> int:
    """By hand: two FLOPs a product, and twice as many again on the way back."""
    D, tokens = plan.width, plan.batch * length
    matrices = 12 * D * D * plan.layers + VOCAB * D
    return 3 * 2 * tokens * (matrices + 2 * length * D * plan.layers)


def test_counts_what_the_formula_counts():
    run = spend(PLAN, ROWS, VOCAB, flops=1e6)
    assert run.spent[0] == step_cost(PLAN, 12)
    assert run.tokens == 4 * 12 * len(run.losses)


def test_never_spends_more_and_leaves_less_than_a_step():
    run = spend(PLAN, ROWS, VOCAB, flops=1e6)
    assert 1e6 - step_cost(PLAN, 12) < run.spent[-1] <= 1e6


def test_the_optimiser_pays_for_its_products():
    dear = dataclasses.replace(PLAN, update=lambda w, g, m, rate: w - rate * g @ (g.T @ g))
    assert spend(dear, ROWS, VOCAB, flops=1e6).spent[0] > step_cost(PLAN, 12)


def test_same_plan_same_model():
    one, two = (spend(PLAN, ROWS, VOCAB, flops=1e6).model.matrices for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_too_small_a_budget_and_bad_plans_say_so():
    with pytest.raises(ValueError, match="one step costs"):
        spend(PLAN, ROWS, VOCAB, flops=10)
    with pytest.raises(ValueError, match="divide by heads, got 8 and 3"):
        dataclasses.replace(PLAN, heads=3)
    with pytest.raises(TypeError, match="schedule must be a function"):
        dataclasses.replace(PLAN, schedule=1.0)
    with pytest.raises(ValueError, match="update must return"):
        spend(dataclasses.replace(PLAN, update=lambda *_: None), ROWS, VOCAB, flops=1e6)
