"""Keeping or replacing a draft."""

import torch

from llmcourse.exercises.core import Exercise, Wrong, close, expect

# Speculation.


def accept_and_residual_stub(p, q):
    raise NotImplementedError


def accept_and_residual(p, q):
    accept = torch.where(q > 0, p / q, 1.0).clamp(max=1.0)
    residual = (p - q).clamp(min=0.0)
    if residual.sum() == 0:
        return accept, p
    return accept, residual / residual.sum()


def check_accept_and_residual(answer):
    def case(p, q, note):
        p, q = torch.tensor(p), torch.tensor(q)
        got = answer(p.clone(), q.clone())
        expect(
            isinstance(got, tuple) and len(got) == 2,
            "return two tensors: the probability of acceptance, and the residual distribution",
            got=got,
        )
        accept, residual = got
        reached = q > 0
        ratio = p[reached] / q[reached]
        close(
            accept[reached],
            ratio.clamp(max=1.0),
            f"acceptance in the case of {note} differs from min(1, p/q)",
            suspects={
                "a probability cannot exceed 1: accept with min(1, p/q)": ratio,
                "p is the target's, q the draft's: accept with p/q, not q/p": (1 / ratio).clamp(
                    max=1.0
                ),
                "accepting by p alone throws good drafts away: divide by q": p[reached],
            },
        )
        expect(
            bool(torch.isfinite(accept).all() and torch.isfinite(residual).all()),
            "not a number: where q is 0 or p equals q something is divided by 0",
            got=(accept, residual),
        )
        expect(
            bool((accept >= 0).all() and (accept <= 1).all()),
            "what q never draws needs an acceptance too; any probability will do",
            got=accept,
        )
        rest = (p - q).clamp(min=0.0)
        if rest.sum() == 0:
            mass = float(residual.sum())
            expect(
                abs(mass - 1) < 1e-5 and bool((residual >= 0).all()),
                "where p equals q nothing is rejected; still return a distribution, p itself",
                got=residual,
            )
            return
        close(
            residual,
            rest / rest.sum(),
            f"the residual in the case of {note} differs from max(p − q, 0), normalised",
            suspects={
                "after a rejection, p itself gives the draft's favourites too much: subtract q": p,
                "the residual must sum to 1": rest,
                "where q exceeds p nothing is missing: clip the difference at 0, no absolute "
                "value": (p - q).abs() / (p - q).abs().sum(),
                "the roles are exchanged: what is missing is p − q, not q − p": (
                    (q - p).clamp(min=0) / (q - p).clamp(min=0).sum()
                ),
            },
        )
        result = q * accept + (1 - (q * accept).sum()) * residual
        close(result, p, "kept and replaced drafts together should be distributed as p", atol=1e-5)

    case([0.5, 0.3, 0.15, 0.05], [0.2, 0.3, 0.3, 0.2], "four tokens")
    case([0.1, 0.6, 0.3], [0.45, 0.35, 0.2], "three tokens")
    case([0.2, 0.8, 0.0], [0.5, 0.0, 0.5], "tokens that one side never draws")
    case([0.25, 0.75, 0.0], [0.25, 0.75, 0.0], "equal distributions, one token in neither")


def _residual(p, q):
    rest = (p - q).clamp(min=0.0)
    return p if rest.sum() == 0 else rest / rest.sum()


def _accept(p, q):
    return torch.where(q > 0, p / q, 1.0).clamp(max=1.0)


def _above_one(p, q):
    return torch.where(q > 0, p / q, 1.0), _residual(p, q)


def _turned_round(p, q):
    return torch.where(p > 0, q / p, 1.0).clamp(max=1.0), _residual(p, q)


def _residual_is_p(p, q):
    return _accept(p, q), p


def _residual_absolute(p, q):
    gap = (p - q).abs()
    return _accept(p, q), gap / gap.sum() if gap.sum() > 0 else p


def _residual_not_normalised(p, q):
    return _accept(p, q), (p - q).clamp(min=0.0)


def _divides_by_zero(p, q):
    rest = (p - q).clamp(min=0.0)
    return _accept(p, q), rest / rest.sum()


EXERCISES = (
    Exercise(
        id="generation.accept_and_residual",
        title="Keep a draft, or replace it",
        stub=accept_and_residual_stub,
        solution=accept_and_residual,
        check=check_accept_and_residual,
        hints=(
            "A token that the draft draws too often must sometimes be rejected; one that it draws "
            "too rarely must be added. How much is too much, how much too little?",
            "Accept token x with probability min(1, p(x)/q(x)). After a rejection draw from "
            "max(p − q, 0), divided by its sum.",
            "accept = torch.where(q > 0, p / q, 1.0).clamp(max=1.0); "
            "residual = (p - q).clamp(min=0.0); residual / residual.sum()",
        ),
        equivalent_mutants={
            "accept = torch.where(q > 0, p / q, 1.0).clamp(max=1.0) → "
            "accept = torch.where(q > 0, p / q, 2.0).clamp(max=1.0)": (
                "what q never draws may have any acceptance, and 2 is clamped to 1"
            ),
        },
        wrong=(
            Wrong(_above_one, "cannot exceed 1"),
            Wrong(_turned_round, "not q/p"),
            Wrong(_residual_is_p, "subtract q"),
            Wrong(_residual_absolute, "no absolute"),
            Wrong(_residual_not_normalised, "must sum to 1"),
            Wrong(_divides_by_zero, "not a number"),
        ),
    ),
)
