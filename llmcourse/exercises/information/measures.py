"""Divergence, bits per byte, mutual information."""

import math

import numpy as np

from llmcourse.exercises.core import Exercise, Wrong, close, expect

__all__ = ["MEASURES"]

# ---- Kullback-Leibler divergence -------------------------------------------------------------


def kl_stub(p, q):
    raise NotImplementedError


def kl(p, q):
    total = 0.0
    for a, b in zip(p, q, strict=True):
        if a > 0:
            total += a * math.log(a / b) if b > 0 else math.inf
    return total / math.log(2)


def check_kl(answer):
    p, q = [0.5, 0.3, 0.2], [0.1, 0.3, 0.6]
    want = sum(a * math.log2(a / b) for a, b in zip(p, q, strict=True))
    back = sum(b * math.log2(b / a) for a, b in zip(p, q, strict=True))
    close(
        answer(p, q),
        want,
        f"wrong for p = {p}, q = {q}",
        suspects={
            "this is in nats; the exercise asks for bits": want * math.log(2),
            "p and q are the wrong way round: the mean is taken under p, the first": back,
            "the sign is lost: a divergence is never negative": -want,
            "this is the cross-entropy; the entropy of p must be taken away": -sum(
                a * math.log2(b) for a, b in zip(p, q, strict=True)
            ),
            "the terms are made positive one by one; only their sum is never negative": sum(
                abs(a * math.log2(a / b)) for a, b in zip(p, q, strict=True)
            ),
            "the probabilities p are the weights already: do not divide by the number of "
            "outcomes": want / len(p),
            "this is the mean of both directions; asked is D(p ‖ q) alone": (want + back) / 2,
        },
    )
    close(answer(p, p), 0.0, "a distribution is at distance 0 from itself", atol=1e-12)
    try:
        never = answer([0.0, 1.0], [0.5, 0.5])
    except (ValueError, ZeroDivisionError):
        never = math.nan
    close(never, 1.0, "what p never draws costs nothing: 0 log 0 counts as 0")
    try:
        forbidden = answer([0.5, 0.5], [1.0, 0.0])
    except (ValueError, ZeroDivisionError):
        forbidden = math.nan
    expect(
        forbidden == math.inf,
        "q gives 0 to something that p draws: the divergence should be infinite",
        expected=math.inf,
        got=forbidden,
    )
    both = answer([0.0, 1.0], [0.0, 1.0])
    close(both, 0.0, "an outcome that neither allows changes nothing", atol=1e-12)


def _kl_nats(p, q):
    return kl(p, q) * math.log(2)


def _kl_reversed(p, q):
    return kl(q, p)


def _kl_cross_entropy(p, q):
    return sum(-a * math.log2(b) for a, b in zip(p, q, strict=True) if a > 0)


def _kl_no_zero(p, q):
    return sum(a * math.log2(a / b) for a, b in zip(p, q, strict=True))


def _kl_skips_forbidden(p, q):
    return sum(a * math.log2(a / b) for a, b in zip(p, q, strict=True) if a > 0 and b > 0)


# ---- bits per byte ---------------------------------------------------------------------------


def bits_per_byte_stub(logprobs, text):
    raise NotImplementedError


def bits_per_byte(logprobs, text):
    return -sum(logprobs) / math.log(2) / len(text.encode("utf-8"))


def check_bits_per_byte(answer):
    text = "naïve 词元"
    logprobs = [math.log(p) for p in (0.5, 0.1, 0.02)]
    total = -sum(logprobs)
    want = total / math.log(2) / len(text.encode())
    close(
        answer(logprobs, text),
        want,
        f"wrong for the text {text!r} cut into three tokens",
        suspects={
            "this is a number of nats: divide by log 2 for bits": want * math.log(2),
            "this divides by characters; a byte is not a character outside ASCII": total
            / math.log(2)
            / len(text),
            "this divides by tokens, so two tokenizers would not compare": total
            / math.log(2)
            / len(logprobs),
            "the mean over tokens is taken before dividing by the bytes: take the sum": want
            / len(logprobs),
            "the sign is lost: log p is negative, a length is not": -want,
            "from nats to bits one divides by log 2": total * math.log(2) / len(text.encode()),
            "this is the cost of the whole text; divide by its bytes": total / math.log(2),
            "this divides by the bits of the text; it has 8 times fewer bytes": want / 8,
            "this is a perplexity per byte: leave out the exponential": math.exp(
                want * math.log(2)
            ),
        },
    )
    close(answer([math.log(1 / 256)] * 4, "four"), 8.0, "guessing bytes blindly costs 8 bits each")


def _bpb_nats(logprobs, text):
    return bits_per_byte(logprobs, text) * math.log(2)


def _bpb_characters(logprobs, text):
    return -sum(logprobs) / math.log(2) / len(text)


def _bpb_tokens(logprobs, text):
    return -sum(logprobs) / math.log(2) / len(logprobs)


def _bpb_mean(logprobs, text):
    return bits_per_byte(logprobs, text) / len(logprobs)


# ---- mutual information ----------------------------------------------------------------------


def mutual_information_stub(joint):
    raise NotImplementedError


def mutual_information(joint):
    product = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    seen = joint > 0
    return float((joint[seen] * np.log2(joint[seen] / product[seen])).sum())


def check_mutual_information(answer):
    joint = np.array([[0.3, 0.1, 0.05], [0.05, 0.2, 0.3]])
    rows, columns = joint.sum(1), joint.sum(0)
    product = np.outer(rows, columns)
    want = _entropy(rows) + _entropy(columns) - _entropy(joint.ravel())
    close(
        answer(joint),
        want,
        f"wrong for the joint distribution {joint.tolist()}",
        suspects={
            "this is in nats; the exercise asks for bits": want * math.log(2),
            "this is the entropy of the pair, not what its halves share": _entropy(joint.ravel()),
            "this is what is left, H(X | Y): take it away from H(X)": _entropy(rows) - want,
            "this is H(Y | X), what is left of Y: take it away from H(Y)": _entropy(columns) - want,
            "a row and a column share less than their entropies' sum: subtract the pair's "
            "entropy": _entropy(rows) + _entropy(columns),
            "the sign is wrong: the ratio is p(x, y) over p(x) p(y)": -want,
            "this is the divergence of the product from the table; the mean is taken under the "
            "table": float((product * np.log2(product / joint)).sum()),
            "each logarithm counts with its weight p(x, y)": float(np.log2(joint / product).sum()),
        },
    )
    close(answer(np.outer(rows, columns)), 0.0, "independent variables share nothing", atol=1e-9)
    copy = answer(np.diag([0.5, 0.25, 0.25]))
    close(copy, 1.5, "a copy shares all its 1.5 bits; cells of 0 count as 0")
    close(answer(joint.T), answer(joint), "X tells about Y what Y tells about X: be symmetric")


def _entropy(p):
    p = np.asarray(p)
    return float(-(p[p > 0] * np.log2(p[p > 0])).sum())


def _mi_nats(joint):
    return mutual_information(joint) * math.log(2)


def _mi_conditional(joint):
    return _entropy(np.asarray(joint).sum(1)) - mutual_information(joint)


def _mi_pair(joint):
    return _entropy(np.asarray(joint).ravel())


def _mi_no_zero(joint):
    joint = np.asarray(joint, dtype=float)
    product = np.outer(joint.sum(1), joint.sum(0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return float((joint * np.log2(joint / product)).sum())


MEASURES = (
    Exercise(
        id="information.kl",
        title="Kullback-Leibler divergence in bits",
        stub=kl_stub,
        solution=kl,
        check=check_kl,
        hints=(
            "The divergence is a mean under p: every outcome counts with weight p(x), and what is "
            "averaged is how much more surprise q would feel than p. Two kinds of zero need care.",
            """
            total = 0
            for each outcome, with probabilities a (under p) and b (under q):
                if a is 0: nothing to add
                if a is above 0 and b is 0: the answer is infinite
                otherwise add a · log(a / b)
            turn nats into bits
            """,
            """
            total = 0.0
            for a, b in zip(p, q, strict=True):
                if a > 0:
                    total += ... if b > 0 else math.inf
            return total / math.log(2)
            """,
        ),
        wrong=(
            Wrong(_kl_nats, "in nats"),
            Wrong(_kl_reversed, "wrong way round"),
            Wrong(_kl_cross_entropy, "cross-entropy"),
            Wrong(_kl_no_zero, "0 log 0"),
            Wrong(_kl_skips_forbidden, "should be infinite"),
        ),
        equivalent_mutants={
            "for a, b in zip(p, q, strict=True): → for a, b in zip(p, q, strict=False):": (
                "both list the same outcomes, so their lengths never differ"
            ),
        },
    ),
    Exercise(
        id="information.bits_per_byte",
        title="Bits per byte of any tokenization",
        stub=bits_per_byte_stub,
        solution=bits_per_byte,
        check=check_bits_per_byte,
        hints=(
            "The tokens share one text. Add up what the whole text costs, in bits, and divide by "
            "something that no tokenizer can change.",
            """
            nats = minus the sum of the log-probabilities
            bits = nats / log 2
            divide by the number of bytes of the text written as UTF-8
            """,
            "return -sum(logprobs) / math.log(2) / len(text.encode(...))",
        ),
        wrong=(
            Wrong(_bpb_nats, "number of nats"),
            Wrong(_bpb_characters, "divides by characters"),
            Wrong(_bpb_tokens, "divides by tokens"),
            Wrong(_bpb_mean, "take the sum"),
        ),
    ),
    Exercise(
        id="information.mutual_information",
        title="Mutual information of a table",
        stub=mutual_information_stub,
        solution=mutual_information,
        check=check_mutual_information,
        hints=(
            "Compare the table with the table there would be if the two were independent: the "
            "product of its margins. The divergence of the one from the other is the answer.",
            """
            rows = sums over each row, columns = sums over each column
            product[i, j] = rows[i] · columns[j]
            where joint is above 0: add joint · log2(joint / product)
            """,
            """
            product = np.outer(joint.sum(axis=1), joint.sum(axis=0))
            seen = joint > 0
            return float((joint[seen] * np.log2(...)).sum())
            """,
        ),
        wrong=(
            Wrong(_mi_nats, "in nats"),
            Wrong(_mi_conditional, "H(X | Y)"),
            Wrong(_mi_pair, "entropy of the pair"),
            Wrong(_mi_no_zero, "cells of 0"),
        ),
    ),
)
