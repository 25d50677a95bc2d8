"""Exercises of the chapter `practice/alignment`."""

import torch
import torch.nn.functional as F

from llmcourse.exercises.core import Exercise, Wrong, close, expect

# Which tokens of a talk are targets.

MARKS = {"user": 1, "assistant": 2, "system": 3, "end": 0}


def answer_targets_stub(turns, marks):
    raise NotImplementedError


def answer_targets(turns, marks):
    ids, answer = [], []
    for role, tokens in turns:
        written = role == "assistant"
        ids += [marks[role], *tokens, marks["end"]]
        answer += [False] + [written] * (len(tokens) + 1)
    targets = [ids[t] if answer[t] else -100 for t in range(1, len(ids))]
    return ids, [*targets, -100]


def check_answer_targets(answer):
    def case(turns):
        want = answer_targets(turns, MARKS)
        got = answer([(role, list(tokens)) for role, tokens in turns], dict(MARKS))
        expect(isinstance(got, tuple | list) and len(got) == 2, "return (ids, targets)")
        ids, targets = (list(part) for part in got)
        expect(
            ids == want[0],
            "a turn is its role's mark, its tokens and the end, one turn after the other",
            expected=want[0],
            got=ids,
        )
        for diagnosis, wrong in _TARGETS.items():
            value = wrong(turns, MARKS)[1]
            expect(targets != value or value == want[1], diagnosis, expected=want[1], got=targets)
        expect(
            targets == want[1],
            "the target at t is the id at t + 1 where the assistant writes it, else −100; as many "
            "targets as ids",
            expected=want[1],
            got=targets,
        )

    case([("user", [7, 8, 9]), ("assistant", [5, 6])])
    case([("system", [4]), ("user", [7]), ("assistant", [5]), ("user", [8]), ("assistant", [6, 6])])
    case([("user", [7]), ("assistant", [])])


def _everything(turns, marks):
    ids, _ = answer_targets(turns, marks)
    return ids, [*ids[1:], -100]


def _no_end(turns, marks):
    ids, targets = answer_targets(turns, marks)
    return ids, [-100 if t == marks["end"] else t for t in targets]


def _unshifted(turns, marks):
    ids, targets = answer_targets(turns, marks)
    return ids, [-100, *targets[:-1]]


def _with_mark(turns, marks):
    ids, targets = answer_targets(turns, marks)
    following = [*ids[1:], -1]
    mark = marks["assistant"]
    return ids, [n if n == mark else t for n, t in zip(following, targets, strict=True)]


_TARGETS = {
    "the questions are learned, too: only what the assistant writes is a target": _everything,
    "the end of an answer must be learned, or the model does not stop": _no_end,
    "targets are shifted: at t stands the id that comes at t + 1": _unshifted,
    "the assistant's mark is given, not written by the model": _with_mark,
}


# Direct preference optimisation.


def dpo_loss_stub(chosen, rejected, reference_chosen, reference_rejected, beta):
    raise NotImplementedError


def dpo_loss(chosen, rejected, reference_chosen, reference_rejected, beta):
    gain = (chosen - reference_chosen) - (rejected - reference_rejected)
    return -F.logsigmoid(beta * gain)


def check_dpo_loss(answer):
    generator = torch.Generator().manual_seed(0)
    for beta in (0.1, 0.7):
        w, l, rw, rl = -5 * torch.rand(4, 6, generator=generator, dtype=torch.float64)
        gain = (w - rw) - (l - rl)
        close(
            answer(w, l, rw, rl, beta),
            -F.logsigmoid(beta * gain),
            "−log σ(β · (gain of the chosen − gain of the rejected)), one number a pair",
            suspects={
                "the reference is missing": -F.logsigmoid(beta * (w - l)),
                "chosen and rejected are exchanged": -F.logsigmoid(-beta * gain),
                "beta is missing": -F.logsigmoid(gain),
                "beta multiplies the difference, inside the sigmoid": -beta * F.logsigmoid(gain),
                "this is the sigmoid, not minus its logarithm": torch.sigmoid(beta * gain),
                "the reference's log-probabilities are subtracted, not added": (
                    -F.logsigmoid(beta * (w + rw - l - rl))
                ),
            },
        )
    big = torch.tensor([-900.0, 0.0], dtype=torch.float64)
    zero = torch.zeros(2, dtype=torch.float64)
    close(
        answer(big, zero, zero, zero, 1.0),
        -F.logsigmoid(big),
        "a large wrong margin must give a large finite loss: use logsigmoid, not log(sigmoid)",
    )


def _no_reference(chosen, rejected, reference_chosen, reference_rejected, beta):
    return -F.logsigmoid(beta * (chosen - rejected))


def _exchanged(chosen, rejected, reference_chosen, reference_rejected, beta):
    return dpo_loss(rejected, chosen, reference_rejected, reference_chosen, beta)


def _beta_outside(chosen, rejected, reference_chosen, reference_rejected, beta):
    return beta * dpo_loss(chosen, rejected, reference_chosen, reference_rejected, 1.0)


def _unstable(chosen, rejected, reference_chosen, reference_rejected, beta):
    gain = (chosen - reference_chosen) - (rejected - reference_rejected)
    return -torch.log(torch.sigmoid(beta * gain))


# Advantages in a group.


def advantages_stub(rewards):
    raise NotImplementedError


def advantages(rewards):
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    return torch.nan_to_num(centred / rewards.std(dim=1, keepdim=True))


def check_advantages(answer):
    generator = torch.Generator().manual_seed(1)
    rewards = torch.randn(3, 5, generator=generator, dtype=torch.float64)
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    std = rewards.std(dim=1, keepdim=True)
    close(
        answer(rewards),
        centred / std,
        "reward minus the mean of its group, over the group's standard deviation",
        suspects={
            "the baseline is missing: subtract each group's mean": rewards / std,
            "each group has its own mean: this is the mean of all": (
                (rewards - rewards.mean()) / rewards.std()
            ),
            "the standard deviation has G − 1 in its denominator here": (
                centred / rewards.std(dim=1, keepdim=True, correction=0)
            ),
            "divide by the standard deviation, not by the variance": centred / std**2,
            "the division by the standard deviation is missing": centred,
        },
    )
    flat = torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 1.0]], dtype=torch.float64)
    got = answer(flat)
    expect(
        torch.is_tensor(got) and bool(torch.isfinite(got).all()),
        "a group of equal rewards has a standard deviation of 0: its advantages are 0, not nan",
        got=got,
    )
    want = torch.tensor([[0.0, 0.0, 0.0, 0.0], [-0.5, -0.5, -0.5, 1.5]], dtype=torch.float64)
    close(got, want, "equal rewards: nothing to learn, so zeros; one in four: −0.5 and 1.5")


def _no_baseline(rewards):
    return rewards / rewards.std(dim=1, keepdim=True).clamp(min=1e-12)


def _global(rewards):
    return (rewards - rewards.mean()) / rewards.std()


def _not_a_number(rewards):
    return (rewards - rewards.mean(dim=1, keepdim=True)) / rewards.std(dim=1, keepdim=True)


# The clipped objective.


def clipped_stub(logprob, old, advantage, epsilon):
    raise NotImplementedError


def clipped(logprob, old, advantage, epsilon):
    ratio = torch.exp(logprob - old)
    bounded = ratio.clamp(1 - epsilon, 1 + epsilon)
    return torch.minimum(ratio * advantage, bounded * advantage)


def check_clipped(answer):
    ratios = torch.tensor([0.3, 0.85, 1.0, 1.15, 2.0], dtype=torch.float64)
    for epsilon, size in ((0.2, 1.0), (0.1, 2.5)):
        for sign in (1.0, -1.0):
            old = torch.tensor([-1.0, -2.0, -0.5, -3.0, -1.5], dtype=torch.float64)
            gain = torch.full((5,), sign * size, dtype=torch.float64)
            bounded = ratios.clamp(1 - epsilon, 1 + epsilon)
            logprob = old + ratios.log()
            close(
                answer(logprob, old, gain, epsilon),
                torch.minimum(ratios * gain, bounded * gain),
                "the smaller of ratio · advantage and clipped ratio · advantage",
                suspects={
                    "clipped always: the unclipped term must be able to be the smaller one": (
                        bounded * gain
                    ),
                    "nothing is clipped": ratios * gain,
                    "the larger of the two is taken": torch.maximum(ratios * gain, bounded * gain),
                    "this is the loss, the objective's negative": (
                        -torch.minimum(ratios * gain, bounded * gain)
                    ),
                    "the ratio is the exponential of the difference of log-probabilities": (
                        torch.minimum(
                            (logprob - old) * gain,
                            (logprob - old).clamp(1 - epsilon, 1 + epsilon) * gain,
                        )
                    ),
                    "the ratio is new over old": torch.minimum(
                        gain / ratios, (1 / ratios).clamp(1 - epsilon, 1 + epsilon) * gain
                    ),
                },
            )


def _always(logprob, old, advantage, epsilon):
    return torch.exp(logprob - old).clamp(1 - epsilon, 1 + epsilon) * advantage


def _never(logprob, old, advantage, epsilon):
    return torch.exp(logprob - old) * advantage


def _inverted(logprob, old, advantage, epsilon):
    return clipped(old, logprob, advantage, epsilon)


# An estimate of the KL that is never negative.


def k3_stub(logprob, reference):
    raise NotImplementedError


def k3(logprob, reference):
    log_ratio = reference - logprob
    return torch.exp(log_ratio) - 1 - log_ratio


def check_k3(answer):
    generator = torch.Generator().manual_seed(2)
    p, q = torch.randn(2, 7, generator=generator, dtype=torch.float64).log_softmax(-1)
    x = q - p
    close(
        answer(p, q),
        x.exp() - 1 - x,
        "r − 1 − log r with r = π_ref / π, one number a sample",
        suspects={
            "this is k1, −log r: unbiased, but of either sign": -x,
            "this is k2, half the square: never negative, but biased": x**2 / 2,
            "the ratio is the other way up: r is the reference over the policy": (
                (-x).exp() - 1 + x
            ),
            "the samples' mean is not asked for: one number a sample": (x.exp() - 1 - x).mean(),
            "without − 1 the estimate is not 0 where both agree": x.exp() - x,
            "the sign of log r is wrong": x.exp() - 1 + x,
        },
    )
    close(answer(p, p), torch.zeros(7, dtype=torch.float64), "0 where both models agree")


def _k1(logprob, reference):
    return logprob - reference


def _k2(logprob, reference):
    return (reference - logprob) ** 2 / 2


def _upside_down(logprob, reference):
    return k3(reference, logprob)


EXERCISES = (
    Exercise(
        id="alignment.answer_targets",
        title="Targets of a talk",
        stub=answer_targets_stub,
        solution=answer_targets,
        check=check_answer_targets,
        hints=(
            "Go through the turns and write down, beside each id, whether the assistant writes it.",
            "A turn is mark, tokens, end. The mark is never the assistant's to write; tokens and "
            "end are, in the assistant's turns. Then shift by one.",
            "Build `ids` and `answer` side by side. For t from 1 on the target is `ids[t]` where "
            "`answer[t]`, else -100; one more -100 ends the row.",
        ),
        wrong=(
            Wrong(_everything, "questions are learned"),
            Wrong(_no_end, "end of an answer"),
            Wrong(_unshifted, "shifted"),
            Wrong(_with_mark, "is given"),
        ),
    ),
    Exercise(
        id="alignment.dpo_loss",
        title="The loss of DPO",
        stub=dpo_loss_stub,
        solution=dpo_loss,
        check=check_dpo_loss,
        hints=(
            "What has each answer gained on the reference, in nats? Bradley and Terry compare "
            "these gains.",
            "Gain of the chosen minus gain of the rejected, times beta, is the difference of "
            "implied rewards. The loss is minus the logarithm of its sigmoid.",
            "`-F.logsigmoid(beta * ((chosen - reference_chosen) - (rejected - ...)))`",
        ),
        wrong=(
            Wrong(_no_reference, "reference is missing"),
            Wrong(_exchanged, "exchanged"),
            Wrong(_beta_outside, "inside the sigmoid"),
            Wrong(_unstable, "logsigmoid, not"),
        ),
    ),
    Exercise(
        id="alignment.advantages",
        title="Advantages in a group",
        stub=advantages_stub,
        solution=advantages,
        check=check_advantages,
        hints=(
            "Each row is a group of answers to one prompt. An answer is good or bad against its "
            "own row.",
            "Subtract the row's mean, divide by the row's standard deviation; where that is 0, "
            "the advantages are 0.",
            "`keepdim=True` keeps the column; 0 / 0 is nan: `torch.nan_to_num`.",
        ),
        wrong=(
            Wrong(_no_baseline, "baseline is missing"),
            Wrong(_global, "own mean"),
            Wrong(_not_a_number, "not nan"),
        ),
    ),
    Exercise(
        id="alignment.clipped",
        title="PPO's clipped objective",
        stub=clipped_stub,
        solution=clipped,
        check=check_clipped,
        hints=(
            "Compute the ratio of new to old probability, and the same ratio held within bounds.",
            "Both times the advantage; at each token the smaller of the two.",
            "`torch.minimum(ratio * advantage, ratio.clamp(1 - epsilon, 1 + epsilon) * ...)`",
        ),
        wrong=(
            Wrong(_always, "clipped always"),
            Wrong(_never, "nothing is clipped"),
            Wrong(_inverted, "new over old"),
        ),
    ),
    Exercise(
        id="alignment.k3",
        title="An estimate of the KL",
        stub=k3_stub,
        solution=k3,
        check=check_k3,
        hints=(
            "−log r has the right mean and may be negative. Add something of mean 0 that mends it.",
            "r is the reference's probability over the policy's. Its mean under the policy is 1, "
            "so r − 1 has mean 0.",
            "With `x = reference - logprob`: `x.exp() - 1 - x`.",
        ),
        wrong=(
            Wrong(_k1, "this is k1"),
            Wrong(_k2, "this is k2"),
            Wrong(_upside_down, "other way up"),
        ),
    ),
)
