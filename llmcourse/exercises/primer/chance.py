"""Bayes' rule from log values, and the bootstrap."""

import numpy as np

from llmcourse.exercises.core import Exercise, Wrong, close, expect

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
