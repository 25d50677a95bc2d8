"""Exercises of the chapter `algorithms/training`."""

import math

import torch
import torch.nn.functional as F

from llmcourse.exercises.core import Exercise, Wrong, close, expect

# The loss.


def loss_stub(logits, ids, pad):
    raise NotImplementedError


def loss(logits, ids, pad):
    targets = ids[:, 1:]
    log_p = logits.log_softmax(dim=-1)
    surprise = -log_p.gather(-1, targets[..., None])  # (B, T, 1)
    return surprise[targets != pad].mean()


def check_loss(answer):
    g = torch.Generator().manual_seed(0)
    for B, T, V, pad in ((2, 5, 7, 0), (3, 8, 11, 10)):
        logits = 3 * torch.randn(B, T, V, generator=g)
        ids = torch.randint(0, V - 2, (B, T + 1), generator=g) + (1 if pad == 0 else 0)
        ids[0, T - 1 :] = pad
        targets = ids[:, 1:]
        counts = targets != pad
        each = -logits.log_softmax(-1).gather(-1, targets[..., None])[..., 0]
        want = each[counts].mean()
        same = -logits.log_softmax(-1).gather(-1, ids[:, :-1, None])[..., 0]
        close(
            answer(logits.clone(), ids.clone(), pad),
            want,
            "the loss differs from the mean surprise of the targets that are not padding",
            suspects={
                "the targets are not shifted: the logits at t guess the id at t + 1": (
                    same[ids[:, :-1] != pad].mean()
                ),
                "padding is counted as a target": each.mean(),
                "padding adds nothing to the sum, but is counted in the mean": (
                    (each * counts).sum() / counts.numel()
                ),
                "this is the sum; the loss is the mean over the targets": each[counts].sum(),
                "this is in bits; use the natural logarithm": want / math.log(2),
                "this is the mean of the rows' means: each target should count the same": (
                    torch.stack([e[c].mean() for e, c in zip(each, counts, strict=True)]).mean()
                ),
                "the sign is wrong: surprise is minus the log probability": -want,
            },
        )


def _unshifted_loss(logits, ids, pad):
    return F.cross_entropy(logits.flatten(0, 1), ids[:, :-1].flatten(), ignore_index=pad)


def _counts_padding(logits, ids, pad):
    return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


def _zero_for_padding(logits, ids, pad):
    each = F.cross_entropy(logits.mT, ids[:, 1:], reduction="none", ignore_index=pad)
    return each.mean()


def _sum_loss(logits, ids, pad):
    each = F.cross_entropy(logits.mT, ids[:, 1:], reduction="none", ignore_index=pad)
    return each.sum()


def _bits_loss(logits, ids, pad):
    return loss(logits, ids, pad) / math.log(2)


# One step of AdamW.


def adamw_stub(w, g, m, v, t, lr, beta1, beta2, eps, decay):
    raise NotImplementedError


def adamw(w, g, m, v, t, lr, beta1, beta2, eps, decay):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    w = (1 - lr * decay) * w - lr * m_hat / (v_hat.sqrt() + eps)
    return w, m, v


def check_adamw(answer):
    g = torch.Generator().manual_seed(0)
    draw = lambda: torch.randn(3, 4, generator=g, dtype=torch.float64)  # noqa: E731
    for t in (1, 2, 30):
        a = dict(w=draw(), g=0.1 * draw(), m=0.1 * draw(), v=0.01 * draw() ** 2, t=t,
                 lr=0.1, beta1=0.8, beta2=0.95, eps=0.01, decay=0.3)  # fmt: skip
        given = {k: x.clone() if torch.is_tensor(x) else x for k, x in a.items()}
        got = answer(**given)
        expect(isinstance(got, tuple | list) and len(got) == 3, "return three things: w, m and v")
        w, m, v = got
        want_w, want_m, want_v = adamw(**a)
        coupled = a["g"] + a["decay"] * a["w"]
        close(
            m, want_m, f"m differs at t = {t}",
            suspects={
                "weight decay went into the gradient; in AdamW it stands outside the division": (
                    adamw(**(a | {"g": coupled}))[1]
                ),
                "return m as it is remembered; the bias correction is for the update only": (
                    want_m / (1 - a["beta1"] ** t)
                ),
                "β₁ is the share of the old mean, 1 − β₁ that of the gradient": (
                    (1 - a["beta1"]) * a["m"] + a["beta1"] * a["g"]
                ),
            },
        )  # fmt: skip
        close(
            v, want_v, f"v differs at t = {t}",
            suspects={
                "v is the mean of the gradient's square": (
                    a["beta2"] * a["v"] + (1 - a["beta2"]) * a["g"]
                ),
                "return v as it is remembered; the bias correction is for the update only": (
                    want_v / (1 - a["beta2"] ** t)
                ),
            },
        )  # fmt: skip
        m_hat, v_hat = want_m / (1 - a["beta1"] ** t), want_v / (1 - a["beta2"] ** t)
        shrunk = (1 - a["lr"] * a["decay"]) * a["w"]
        step = m_hat / (v_hat.sqrt() + a["eps"])
        close(
            w, want_w, f"w differs at t = {t}",
            suspects={
                "the bias correction is missing: divide m by 1 − β₁ᵗ and v by 1 − β₂ᵗ": (
                    shrunk - a["lr"] * want_m / (want_v.sqrt() + a["eps"])
                ),
                "ε stands outside the root": (
                    shrunk - a["lr"] * m_hat / (v_hat + a["eps"]).sqrt()
                ),
                "there is no root: divide by √v, which has the gradient's unit": (
                    shrunk - a["lr"] * m_hat / (v_hat + a["eps"])
                ),
                "the decay is not scaled by the learning rate": (
                    (1 - a["decay"]) * a["w"] - a["lr"] * step
                ),
                "the weights are not decayed": a["w"] - a["lr"] * step,
                "the step goes uphill: subtract it": shrunk + a["lr"] * step,
            },
        )  # fmt: skip


def _no_correction(w, g, m, v, t, lr, beta1, beta2, eps, decay):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    return (1 - lr * decay) * w - lr * m / (v.sqrt() + eps), m, v


def _coupled(w, g, m, v, t, lr, beta1, beta2, eps, decay):
    return adamw(w, g + decay * w, m, v, t, lr, beta1, beta2, eps, 0.0)


def _eps_inside(w, g, m, v, t, lr, beta1, beta2, eps, decay):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    root = (v / (1 - beta2**t) + eps).sqrt()
    return (1 - lr * decay) * w - lr * m / (1 - beta1**t) / root, m, v


def _full_decay(w, g, m, v, t, lr, beta1, beta2, eps, decay):
    new, m, v = adamw(w, g, m, v, t, lr, beta1, beta2, eps, 0.0)
    return new - decay * w, m, v


def _returns_corrected(w, g, m, v, t, lr, beta1, beta2, eps, decay):
    w, m, v = adamw(w, g, m, v, t, lr, beta1, beta2, eps, decay)
    return w, m / (1 - beta1**t), v / (1 - beta2**t)


# The schedule.


def schedule_stub(step, steps, warmup, peak, floor):
    raise NotImplementedError


def schedule(step, steps, warmup, peak, floor):
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = min(1.0, (step - warmup) / (steps - 1 - warmup))
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress)))


def check_schedule(answer):
    def at(step, steps=101, warmup=20, peak=0.5, floor=0.2):
        return answer(step, steps, warmup, peak, floor)

    first = at(0)
    expect(first != 0, "step 0 has rate 0, so it learns nothing: begin at peak / warmup", got=first)
    close(at(19), 0.5, "step warmup − 1 should have the peak")
    close(at(9), 0.25, "the warm-up is a straight line: (step + 1) / warmup of the peak")
    close(at(20), 0.5, "the cosine begins at the peak, at step warmup")
    close(
        at(100), 0.1, "the last step, steps − 1, should have floor × peak",
        suspects={
            "the floor is ignored": 0.0,
            "the floor is a share of the peak, not a rate": 0.2,
            "the cosine is off by one: the last step is steps − 1": schedule(99, 101, 20, 0.5, 0.2),
        },
    )  # fmt: skip
    close(at(60), 0.5 * 0.6, "halfway down, the rate is midway between peak and floor")
    quarter = at(40)
    close(
        quarter, schedule(40, 101, 20, 0.5, 0.2), "a quarter of the way down",
        suspects={"this falls along a straight line, not along a cosine": 0.5 * 0.8},
    )  # fmt: skip
    close(at(150), 0.1, "after the last step the rate stays at the floor; it must not rise again")
    close(at(0, warmup=0), 0.5, "without warm-up the first step has the peak")
    close(at(37, 200, 5, 2.0, 0.05), schedule(37, 200, 5, 2.0, 0.05), "another run")


def _from_zero(step, steps, warmup, peak, floor):
    if step < warmup:
        return peak * step / warmup
    return schedule(step, steps, warmup, peak, floor)


def _no_floor(step, steps, warmup, peak, floor):
    return schedule(step, steps, warmup, peak, 0.0)


def _rises_again(step, steps, warmup, peak, floor):
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / (steps - 1 - warmup)
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress)))


def _linear(step, steps, warmup, peak, floor):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 - (1 - floor) * min(1.0, (step - warmup) / (steps - 1 - warmup)))


def _late(step, steps, warmup, peak, floor):
    return schedule(step, steps + 1, warmup, peak, floor)


# Accumulation.


def factors_stub(pieces):
    raise NotImplementedError


def factors(pieces):
    total = sum(targets for _, targets in pieces)
    return [targets / total for _, targets in pieces]


def check_factors(answer):
    for pieces in ([(2.0, 10), (3.0, 30)], [(1.5, 7), (0.5, 0), (2.5, 3), (4.0, 10)]):
        got = list(answer(list(pieces)))
        expect(len(got) == len(pieces), "there is one factor a piece", got=got)
        total = sum(n for _, n in pieces)
        summed = sum(loss for loss, _ in pieces)
        close(
            got, [n / total for _, n in pieces],
            "a piece's factor is its share of all targets",
            suspects={
                "this is the mean of the means: a target in a short piece weighs more": (
                    [1 / len(pieces)] * len(pieces)
                ),
                "these weigh by targets but do not sum to 1: divide by all targets": (
                    [n for _, n in pieces]
                ),
                "this adds the means up, so that more pieces mean a longer gradient": (
                    [1.0] * len(pieces)
                ),
                "the weights must come from the numbers of targets, not from the losses": (
                    [loss / summed for loss, _ in pieces]
                ),
                "these are not divided by all targets but by the largest piece's": (
                    [n / max(k for _, k in pieces) for _, n in pieces]
                ),
            },
        )  # fmt: skip


def _mean_of_means(pieces):
    return [1 / len(pieces) for _ in pieces]


def _not_divided(pieces):
    return [targets for _, targets in pieces]


def _added_up(pieces):
    return [1.0 for _ in pieces]


def _by_loss(pieces):
    total = sum(loss for loss, _ in pieces)
    return [loss / total for loss, _ in pieces]


EXERCISES = (
    Exercise(
        id="training.loss",
        title="The loss of a language model",
        stub=loss_stub,
        solution=loss,
        check=check_loss,
        hints=(
            "The logits at position t guess the id at position t + 1. Which ids are the targets "
            "of T positions of logits, and which of them count?",
            "Targets: ids without the first column. Log probabilities: log softmax over the last "
            "axis. Pick each target's, change the sign, keep those that are not padding, average.",
            "`targets = ids[:, 1:]`, then `logits.log_softmax(-1).gather(-1, targets[..., None])` "
            "has the log probabilities with a last axis of 1; index with `targets != pad` before "
            "the mean.",
        ),
        wrong=(
            Wrong(_unshifted_loss, "not shifted"),
            Wrong(_counts_padding, "counted as a target"),
            Wrong(_zero_for_padding, "counted in the mean"),
            Wrong(_sum_loss, "the sum"),
            Wrong(_bits_loss, "in bits"),
        ),
    ),
    Exercise(
        id="training.adamw",
        title="One step of AdamW",
        stub=adamw_stub,
        solution=adamw,
        check=check_adamw,
        hints=(
            "Two running means are remembered; their corrected versions are used once, for this "
            "update, and not remembered.",
            "New m from g, new v from g². Divide each by 1 − βᵗ for the update. Shrink w by "
            "lr · decay of itself, then subtract lr times the corrected ratio.",
            "`m_hat = m / (1 - beta1**t)`, `v_hat = v / (1 - beta2**t)`, and the ratio is "
            "`m_hat / (v_hat.sqrt() + eps)`; return the uncorrected m and v.",
        ),
        wrong=(
            Wrong(_no_correction, "bias correction is missing"),
            Wrong(_coupled, "outside the division"),
            Wrong(_eps_inside, "outside the root"),
            Wrong(_full_decay, "not scaled by the learning rate"),
            Wrong(_returns_corrected, "for the update only"),
        ),
    ),
    Exercise(
        id="training.schedule",
        title="Warm-up and cosine",
        stub=schedule_stub,
        solution=schedule,
        check=check_schedule,
        hints=(
            "Two pieces that meet at the peak. Try the four corners by hand: step 0, "
            "warmup − 1, warmup, steps − 1.",
            "Before warmup: (step + 1) / warmup of the peak. After: progress from 0 at step warmup "
            "to 1 at step steps − 1, then floor + (1 − floor) · ½(1 + cos(π · progress)).",
            "`progress = min(1.0, (step - warmup) / (steps - 1 - warmup))`, so that it stays at "
            "the floor; multiply the whole by `peak`.",
        ),
        wrong=(
            Wrong(_from_zero, "learns nothing"),
            Wrong(_no_floor, "floor is ignored"),
            Wrong(_rises_again, "must not rise again"),
            Wrong(_linear, "straight line, not along a cosine"),
            Wrong(_late, "last step"),
        ),
    ),
    Exercise(
        id="training.factors",
        title="Accumulate unequal pieces",
        stub=factors_stub,
        solution=factors,
        check=check_factors,
        hints=(
            "Write the mean over all targets as a weighted sum of the pieces' means.",
            "A piece's sum is its mean times its targets. Add the sums, divide by all targets.",
            "A piece's factor is `targets / total`, where `total` adds up all pieces' targets.",
        ),
        wrong=(
            Wrong(_mean_of_means, "mean of the means"),
            Wrong(_not_divided, "do not sum to 1"),
            Wrong(_added_up, "adds the means up"),
            Wrong(_by_loss, "not from the losses"),
        ),
    ),
)
