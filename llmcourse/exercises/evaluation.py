"""Exercises of the chapter `practice/evaluation`."""

import math

from llmcourse.exercises.core import Exercise, Wrong, close, expect, raises

# Wilson's interval for a proportion.


def wilson_stub(right, n, z=1.96):
    raise NotImplementedError


def wilson(right, n, z=1.96):
    share = right / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    spread = math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    half = z * spread / (1 + z * z / n)
    return middle - half, middle + half


def check_wilson(answer):
    for right, n, z in ((7, 10, 1.96), (48, 50, 1.96), (3, 200, 2.5), (20, 20, 1.96)):
        got = answer(right, n, z)
        expect(isinstance(got, tuple | list) and len(got) == 2, "return (low, high)")
        suspects = {
            "this is the plain interval p ± z·√(p(1 − p)/n); it has no width at 0 and 1": _wald,
            "the middle is not shrunk towards a half: z²/2n is missing from it": _unmoved,
            "both ends are divided by 1 + z²/n": _undivided,
            "under the root stands z²/4n²": _narrow,
            "z is an argument: do not write 1.96": _fixed,
            "this divides z by n where z² stands": _unsquared,
            "these are the ends in the wrong order: return (low, high)": _high_first,
            "two rights and two wrongs are added: Agresti and Coull's interval": _plus4,
        }
        want = wilson(right, n, z)
        for end, name in ((0, "low"), (1, "high")):
            close(
                got[end], want[end], f"the {name} end is off",
                suspects={text: f(right, n, z)[end] for text, f in suspects.items()},
            )  # fmt: skip
    close(answer(9, 12), wilson(9, 12), "z is 1.96 unless another is given")


def _wald(right, n, z=1.96):
    share = right / n
    half = z * math.sqrt(share * (1 - share) / n)
    return share - half, share + half


def _high_first(right, n, z=1.96):
    return wilson(right, n, z)[::-1]


def _plus4(right, n, z=1.96):
    return _wald(right + 2, n + 4, z)


def _unmoved(right, n, z=1.96):
    low, high = wilson(right, n, z)
    half = (high - low) / 2
    return right / n - half, right / n + half


def _undivided(right, n, z=1.96):
    low, high = wilson(right, n, z)
    return low * (1 + z * z / n), high * (1 + z * z / n)


def _narrow(right, n, z=1.96):
    share = right / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n) / (1 + z * z / n)
    return middle - half, middle + half


def _fixed(right, n, z=1.96):
    return wilson(right, n, 1.96)


def _unsquared(right, n, z=1.96):
    share = right / n
    middle = (share + z / (2 * n)) / (1 + z / n)
    half = z * math.sqrt(share * (1 - share) / n + z / (4 * n * n)) / (1 + z / n)
    return middle - half, middle + half


# BLEU's brevity penalty.


def brevity_penalty_stub(candidates, references):
    raise NotImplementedError


def brevity_penalty(candidates, references):
    said = sum(len(tokens) for tokens in candidates)
    due = sum(len(tokens) for tokens in references)
    return min(1.0, math.exp(1 - due / said))


def check_brevity_penalty(answer):
    cases = (
        (("a b c", "d e"), ("a b c d", "d e f g h")),
        (("a b c d e f", "g"), ("a b c", "g h")),
        (("a b c d e f g h", "i"), ("a b c d", "i j k l m n o")),
        (("a b", "c d e"), ("a b", "c d e")),
        (("the cat the", "a b"), ("the cat the dog a a", "a b")),
    )
    for texts in cases:
        said, due = ([text.split() for text in side] for side in texts)
        want = brevity_penalty(said, due)
        each = [min(1.0, math.exp(1 - len(b) / len(a))) for a, b in zip(said, due, strict=True)]
        a, b = sum(map(len, said)), sum(map(len, due))
        close(
            answer([list(t) for t in said], [list(t) for t in due]), want,
            "the penalty is exp(1 − r/c) below 1, and 1 where the candidate is as long or longer",
            suspects={
                "lengths are added over the corpus first; this averages sentence by sentence": (
                    sum(each) / len(each)
                ),
                "a candidate that is too long is not rewarded: at most 1": math.exp(1 - b / a),
                "this is the ratio of the lengths; the penalty is exponential": min(1.0, a / b),
                "r and c are exchanged: the short ones are punished, not the long ones": (
                    min(1.0, math.exp(1 - a / b))
                ),
                "the 1 in exp(1 − r/c) is missing": min(1.0, math.exp(-b / a)),
                "every token counts, one that was said before as well": _distinct(said, due),
            },
        )  # fmt: skip


def _by_sentence(candidates, references):
    each = [
        min(1.0, math.exp(1 - len(b) / len(a))) for a, b in zip(candidates, references, strict=True)
    ]
    return sum(each) / len(each)


def _distinct(candidates, references):
    said, due = (sum(len(set(t)) for t in side) for side in (candidates, references))
    return min(1.0, math.exp(1 - due / said))


def _rewards(candidates, references):
    return math.exp(1 - sum(map(len, references)) / sum(map(len, candidates)))


def _ratio(candidates, references):
    return min(1.0, sum(map(len, candidates)) / sum(map(len, references)))


def _exchanged(candidates, references):
    return brevity_penalty(references, candidates)


# Expected calibration error.


def calibration_error_stub(confidence, right, bins):
    raise NotImplementedError


def calibration_error(confidence, right, bins):
    groups = [[] for _ in range(bins)]
    for c, r in zip(confidence, right, strict=True):
        groups[min(int(c * bins), bins - 1)].append((c, r))
    n = len(confidence)
    return sum(abs(sum(c for c, _ in g) - sum(r for _, r in g)) for g in groups) / n


def check_calibration_error(answer):
    cases = (
        ([0.15, 0.12, 0.55, 0.58, 0.91, 0.95, 1.0], [0, 1, 1, 0, 1, 1, 0], 5),
        ([0.3, 0.35, 0.62, 0.9, 0.97], [1, 1, 0, 1, 0], 4),
        ([0.05, 0.5, 0.5, 1.0], [0, 1, 0, 1], 2),
        ([0.65, 0.7, 0.95, 0.99], [1, 1, 0, 1], 5),
    )
    for confidence, right, bins in cases:
        suspects = {
            "this gives each bin the same weight; weigh it by its number of predictions": _even,
            "take the absolute gap in each bin, or over- and underconfidence cancel": _signed,
            "this is the largest gap (the maximum calibration error), not the mean": _largest,
            "use the mean confidence of a bin, not the bin's middle": _middles,
            "this is |confidence − outcome| for each prediction: no bin, no frequency": _single,
        }
        close(
            answer(list(confidence), list(right), bins),
            calibration_error(confidence, right, bins),
            "the gap between mean confidence and share right, bin by bin, weighted by size",
            suspects={text: f(confidence, right, bins) for text, f in suspects.items()},
        )
    raises(
        ValueError,
        lambda: answer([0.5, 0.6], [1], 2),
        "lists of unequal length do not belong together: raise a ValueError",
    )


def _bins(confidence, right, bins):
    groups = [[] for _ in range(bins)]
    for c, r in zip(confidence, right, strict=True):
        groups[min(int(c * bins), bins - 1)].append((c, r))
    return groups


def _gap(group):
    return (sum(c for c, _ in group) - sum(r for _, r in group)) / len(group)


def _even(confidence, right, bins):
    gaps = [abs(_gap(g)) for g in _bins(confidence, right, bins) if g]
    return sum(gaps) / len(gaps)


def _signed(confidence, right, bins):
    return abs(sum(confidence) - sum(right)) / len(right)


def _largest(confidence, right, bins):
    return max(abs(_gap(g)) for g in _bins(confidence, right, bins) if g)


def _middles(confidence, right, bins):
    groups = _bins(confidence, right, bins)
    gaps = [
        abs(len(g) * (k + 0.5) / bins - sum(r for _, r in g)) for k, g in enumerate(groups) if g
    ]
    return sum(gaps) / len(right)


def _single(confidence, right, bins):
    return sum(abs(c - r) for c, r in zip(confidence, right, strict=True)) / len(right)


# The standard error of a mean over clusters.


def cluster_error_stub(scores, clusters):
    raise NotImplementedError


def cluster_error(scores, clusters):
    n = len(scores)
    mean = sum(scores) / n
    sums = {}
    for score, cluster in zip(scores, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + score - mean
    return math.sqrt(sum(total**2 for total in sums.values())) / n


def check_cluster_error(answer):
    cases = (
        ([1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0], ["a", "a", "b", "b", "b", "c", "a"]),
        ([2.0, 1.0, 4.0, 3.5, 0.5], [0, 1, 0, 1, 2]),
        ([1.0, 5.0, 2.0, 2.0], [3, 1, 4, 2]),
    )
    for scores, clusters in cases:
        suspects = {
            "this ignores the clusters: the plain standard error of independent scores": _naive,
            "this takes the means of the clusters; large ones must count more": _of_means,
            "take the mean off before you add up a cluster": _raw_sums,
            "divide by the number of scores, not of clusters": _by_clusters,
            "the square root is missing: this is the variance": _variance,
        }
        close(
            answer(list(scores), list(clusters)),
            cluster_error(scores, clusters),
            "square the sum of deviations of each cluster, add up, root, divide by n",
            suspects={text: f(scores, clusters) for text, f in suspects.items()},
        )
    raises(
        ValueError,
        lambda: answer([1.0, 0.0, 1.0], ["a", "b"]),
        "each score needs its cluster: raise a ValueError for unequal lengths",
    )


def _naive(scores, clusters):
    return cluster_error(scores, list(range(len(scores))))


def _of_means(scores, clusters):
    names = sorted(set(clusters), key=str)
    pairs = list(zip(scores, clusters, strict=True))
    means = [sum(s for s, c in pairs if c == k) / sum(1 for _, c in pairs if c == k) for k in names]
    return cluster_error(means, names)


def _raw_sums(scores, clusters):
    sums = {}
    for score, cluster in zip(scores, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + score
    return math.sqrt(sum(total**2 for total in sums.values())) / len(scores)


def _by_clusters(scores, clusters):
    return cluster_error(scores, clusters) * len(scores) / len(set(clusters))


def _variance(scores, clusters):
    return cluster_error(scores, clusters) ** 2


EXERCISES = (
    Exercise(
        id="evaluation.brevity_penalty",
        title="BLEU's brevity penalty",
        stub=brevity_penalty_stub,
        solution=brevity_penalty,
        check=check_brevity_penalty,
        hints=(
            "BLEU counts precision only, so one sure word would score best. What must a system "
            "that says too little pay, and over what is length counted?",
            "c: tokens of all candidates. r: tokens of all references. 1 if c ≥ r, else "
            "exp(1 − r/c).",
            "`min(1.0, math.exp(1 - due / said))` with both lengths summed over the corpus.",
        ),
        wrong=(
            Wrong(_by_sentence, "added over the corpus"),
            Wrong(_rewards, "at most 1"),
            Wrong(_ratio, "exponential"),
            Wrong(_exchanged, "exchanged"),
            Wrong(_distinct, "said before as well"),
        ),
    ),
    Exercise(
        id="evaluation.wilson",
        title="An interval for a share",
        stub=wilson_stub,
        solution=wilson,
        check=check_wilson,
        hints=(
            "The interval holds every true share p for which the observed one lies within z of "
            "p's own standard errors. That is a quadratic inequality in p.",
            "middle = (share + z²/2n) / (1 + z²/n); half = z · √(share(1 − share)/n + z²/4n²) / "
            "(1 + z²/n).",
            "`spread = math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))`, then "
            "`half = z * spread / (1 + z * z / n)`.",
        ),
        wrong=(
            Wrong(_wald, "plain interval"),
            Wrong(_unmoved, "shrunk"),
            Wrong(_undivided, "divided"),
            Wrong(_narrow, "under the root"),
            Wrong(_fixed, "do not write 1.96"),
            Wrong(_high_first, "wrong order"),
            Wrong(_plus4, "Agresti and Coull"),
        ),
    ),
    Exercise(
        id="evaluation.cluster_error",
        title="Questions that come in families",
        stub=cluster_error_stub,
        solution=cluster_error,
        check=check_cluster_error,
        hints=(
            "What is independent: the scores, or the families they come in? Add up what belongs "
            "together before you square.",
            "deviation = score − mean; sum it within each cluster; square; sum over clusters; "
            "root; divide by the number of scores.",
            "`sums[cluster] = sums.get(cluster, 0.0) + score - mean`, then "
            "`math.sqrt(sum(t**2 for t in sums.values())) / n`.",
        ),
        wrong=(
            Wrong(_naive, "ignores the clusters"),
            Wrong(_of_means, "means of the clusters"),
            Wrong(_raw_sums, "take the mean off"),
            Wrong(_by_clusters, "number of scores"),
            Wrong(_variance, "square root"),
        ),
    ),
    Exercise(
        id="evaluation.calibration_error",
        title="Expected calibration error",
        stub=calibration_error_stub,
        solution=calibration_error,
        check=check_calibration_error,
        hints=(
            "Sort the predictions into bins by confidence. In each bin, compare what was claimed "
            "with what came true.",
            "Bin k holds confidences from k/bins up to (k + 1)/bins, the last one 1.0 as well. "
            "Σ (n_k / n) · |mean confidence − share right|.",
            "`groups[min(int(c * bins), bins - 1)].append((c, r))`; the weight n_k/n and the mean "
            "cancel to |Σc − Σr| / n.",
        ),
        wrong=(
            Wrong(_even, "weigh it"),
            Wrong(_signed, "cancel"),
            Wrong(_largest, "largest gap"),
            Wrong(_middles, "bin's middle"),
            Wrong(_single, "no bin"),
        ),
    ),
)
