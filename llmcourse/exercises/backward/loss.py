"""The gradient at the logits, with a temperature and label smoothing."""

from functools import partial

import torch

from llmcourse.exercises.backward.judge import drawn
from llmcourse.exercises.core import Exercise, Wrong, close


def smoothed_cross_entropy_stub(logits, targets, tau, alpha):
    raise NotImplementedError


def smoothed_cross_entropy(logits, targets, tau, alpha):
    T, V = logits.shape
    wanted = torch.full_like(logits, alpha / V)
    wanted[torch.arange(T), targets] += 1 - alpha
    q = torch.softmax(logits / tau, dim=1)
    return (q - wanted) / (tau * T)


def _smoothed(logits, targets, tau, alpha, *, others=None, outer=True, inner=True, mean=True):
    T, V = logits.shape
    wanted = torch.full_like(logits, alpha / V if others is None else others)
    wanted[torch.arange(T), targets] = 1 - alpha + (alpha / V if others is None else 0.0)
    q = torch.softmax(logits / tau if inner else logits, dim=-1)
    return (q - wanted) / (tau if outer else 1.0) / (T if mean else 1.0)


def _wanted(targets, V, alpha, share=None, kept=None):
    wanted = torch.full((len(targets), V), alpha / V if share is None else share).double()
    wanted[torch.arange(len(targets)), targets] += 1 - alpha if kept is None else kept
    return wanted


def _loss(logits, targets, tau, alpha):
    logq = (logits / tau).log_softmax(-1)
    at_target = logq[torch.arange(len(targets)), targets]
    return -((1 - alpha) * at_target + alpha * logq.mean(-1)).mean()


def check_smoothed_cross_entropy(answer):
    for T, V, tau, alpha, seed in ((4, 6, 0.5, 0.3, 0), (3, 5, 2.5, 0.1, 1), (1, 4, 1.0, 0.0, 2)):
        (logits,) = drawn((T, V), seed=seed)
        targets = torch.tensor([(3 * t + 1) % V for t in range(T)])
        leaf = logits.clone().requires_grad_()
        _loss(leaf, targets, tau, alpha).backward()
        given = (logits, targets, tau, alpha)
        suspects = {
            "the chain rule through logits / τ is missing: one more factor 1/τ": _smoothed(
                *given, outer=False
            ),
            "the probabilities are those of the logits divided by τ": _smoothed(
                *given, inner=False
            ),
            "the loss is a mean over T positions: divide by T": _smoothed(*given, mean=False),
            "smoothing spreads α over all V tokens: each gets α/V, the target as well": _smoothed(
                *given, others=alpha / max(V - 1, 1)
            ),
            "α was taken from the target and given to no other token": _smoothed(
                *given, others=0.0
            ),
            "label smoothing is missing: this is the gradient for α = 0": _smoothed(
                logits, targets, tau, 0.0
            ),
            "what enters the softmax is logits / τ: its slope divides by τ, it does not multiply": (
                tau**2 * leaf.grad
            ),
            "the probabilities are those of logits / τ, not logits · τ": (
                ((logits * tau).softmax(-1) - _wanted(targets, V, alpha)) / (tau * T)
            ),
            "each position has its own softmax, over its V logits": (
                ((logits / tau).softmax(0) - _wanted(targets, V, alpha)) / (tau * T)
            ),
            "the mean is over T positions only, not over the T · V logits": leaf.grad / V,
            "α is shared by V tokens: each gets α/V": (
                ((logits / tau).softmax(-1) - _wanted(targets, V, alpha, share=alpha)) / (tau * T)
            ),
            "the target keeps its whole 1 and gets α/V more: it must give α away first": (
                ((logits / tau).softmax(-1) - _wanted(targets, V, alpha, kept=1.0)) / (tau * T)
            ),
            "the sign is lost: it is what the model says minus what is wanted": -leaf.grad,
        }
        message = f"for T={T}, V={V}, τ={tau}, α={alpha} the gradient differs from autograd's"
        # A target made from integers is float32 in torch: 1e-6 forgives that, and no mistake.
        close(answer(*given), leaf.grad, message, suspects=suspects, atol=1e-6)


def _to_the_others(logits, targets, tau, alpha):
    return _smoothed(logits, targets, tau, alpha, others=alpha / (logits.shape[1] - 1))


def _hard(logits, targets, tau, alpha):
    return _smoothed(logits, targets, tau, 0.0)


def _tau_above(logits, targets, tau, alpha):
    return tau**2 * smoothed_cross_entropy(logits, targets, tau, alpha)


def _whole_alpha(logits, targets, tau, alpha):
    T, V = logits.shape
    wanted = _wanted(targets, V, alpha, share=alpha)
    return ((logits / tau).softmax(-1) - wanted) / (tau * T)


def _down_the_rows(logits, targets, tau, alpha):
    T, V = logits.shape
    return ((logits / tau).softmax(0) - _wanted(targets, V, alpha)) / (tau * T)


def _turned(logits, targets, tau, alpha):
    return -smoothed_cross_entropy(logits, targets, tau, alpha)


EXERCISES = (
    Exercise(
        id="backward.smoothed_cross_entropy",
        title="A softer loss",
        stub=smoothed_cross_entropy_stub,
        solution=smoothed_cross_entropy,
        check=check_smoothed_cross_entropy,
        hints=(
            "Cross-entropy with any target distribution w has the gradient q − w by what enters "
            "the softmax. Write w down first, then see what else stands between it and the logits.",
            "w has α/V everywhere and 1 − α more at the target. q = softmax(logits / τ). The "
            "softmax's input is logits / τ, and the loss is a mean over T rows: two more factors.",
            "wanted = torch.full_like(logits, alpha / V); wanted[torch.arange(T), targets] += "
            "1 - alpha; (softmax(logits / tau) - wanted) / (tau * T)",
        ),
        wrong=(
            Wrong(partial(_smoothed, outer=False), "one more factor 1/τ"),
            Wrong(partial(_smoothed, inner=False), "divided by τ"),
            Wrong(partial(_smoothed, mean=False), "mean over T positions"),
            Wrong(_to_the_others, "the target as well"),
            Wrong(partial(_smoothed, others=0.0), "given to no other token"),
            Wrong(_hard, "label smoothing is missing"),
            Wrong(_turned, "sign is lost"),
            Wrong(_tau_above, "does not multiply"),
            Wrong(_whole_alpha, "shared by V"),
            Wrong(_down_the_rows, "its own softmax"),
        ),
    ),
)
