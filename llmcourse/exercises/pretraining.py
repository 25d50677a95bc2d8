"""Exercises of the chapter `practice/pretraining`."""

import math
from statistics import stdev

from llmcourse.exercises.core import Exercise, Wrong, close, expect, raises

# Pack documents into windows.


def pack_windows_stub(documents, end, context):
    raise NotImplementedError


def pack_windows(documents, end, context):
    stream = [token for document in documents for token in [*document, end]]
    starts = range(0, len(stream) - context, context)
    return [stream[start : start + context + 1] for start in starts]


def check_pack_windows(answer):
    def case(documents, context, message):
        want = pack_windows(documents, 0, context)
        got = [list(row) for row in answer([list(d) for d in documents], 0, context)]
        suspects = {
            "the documents are not closed with the end mark": _no_end(documents, 0, context),
            "only the border between two documents is marked; the last one ends, too": (
                _between(documents, 0, context)
            ),
            "the windows do not overlap: the first id of each is never a target": (
                _disjoint(documents, 0, context)
            ),
            "a window needs T + 1 ids: T inputs and T targets": _short(documents, 0, context),
            "drop what does not fill a window": _keeps_rest(documents, 0, context),
            "this slides by one id; every target would count T times": (
                _sliding(documents, 0, context)
            ),
        }
        for diagnosis, value in suspects.items():
            expect(got != value or value == want, diagnosis, expected=want, got=got)
        expect(got == want, message, expected=want, got=got)

    case([[1, 2, 3], [4, 5], [6, 7, 8, 9]], 3, "windows of 4 that share one id")
    case([[1, 2], [3, 4, 5]], 3, "the end mark of the last document is a target, too")
    case([[1, 2], [3, 4, 5, 6, 7, 8]], 4, "a document may stretch over windows")
    case([[1, 2, 3]], 3, "the end mark fills the first window exactly")
    case([[1, 2]], 3, "a stream shorter than one window gives none")
    case([[1], [], [2, 3, 4]], 2, "an empty document is an end mark alone")


def _no_end(documents, end, context):
    stream = [token for document in documents for token in document]
    return [stream[i : i + context + 1] for i in range(0, len(stream) - context, context)]


def _between(documents, end, context):
    stream = [token for document in documents for token in [*document, end]][:-1]
    return [stream[i : i + context + 1] for i in range(0, len(stream) - context, context)]


def _disjoint(documents, end, context):
    stream = [token for document in documents for token in [*document, end]]
    return [stream[i : i + context + 1] for i in range(0, len(stream) - context, context + 1)]


def _short(documents, end, context):
    stream = [token for document in documents for token in [*document, end]]
    return [stream[i : i + context] for i in range(0, len(stream) - context + 1, context)]


def _keeps_rest(documents, end, context):
    stream = [token for document in documents for token in [*document, end]]
    return [stream[i : i + context + 1] for i in range(0, max(1, len(stream) - 1), context)]


def _sliding(documents, end, context):
    stream = [token for document in documents for token in [*document, end]]
    return [stream[i : i + context + 1] for i in range(len(stream) - context)]


# Bits per byte.


def bits_per_byte_stub(texts, nats):
    raise NotImplementedError


def bits_per_byte(texts, nats):
    total = sum(sum(surprises) for surprises in nats)
    size = sum(len(text.encode("utf-8")) for text in texts)
    return total / math.log(2) / size


def check_bits_per_byte(answer):
    cases = (
        (["abcd", "词元 and more"], [[1.0, 2.5], [0.5, 4.0, 3.0]]),
        (["naïve café", "x", "你好"], [[2.0] * 5, [0.25], [6.0, 1.5]]),
    )
    for texts, nats in cases:
        total = sum(map(sum, nats))
        size = sum(len(t.encode()) for t in texts)
        want = total / math.log(2) / size
        rows = [sum(n) / math.log(2) / len(t.encode()) for t, n in zip(texts, nats, strict=True)]
        close(
            answer(list(texts), [list(n) for n in nats]), want,
            "all bits of all documents, divided by all their bytes",
            suspects={
                "these are nats: divide by log 2": total / size,
                "this divides by characters; a character may take several bytes": (
                    total / math.log(2) / sum(map(len, texts))
                ),
                "this divides by tokens; their number depends on the tokenizer": (
                    total / math.log(2) / sum(map(len, nats))
                ),
                "this is the mean of the documents' means: short ones would weigh too much": (
                    sum(rows) / len(rows)
                ),
                "multiply and divide are exchanged: a nat is more than a bit": (
                    total * math.log(2) / size
                ),
            },
        )  # fmt: skip


def _nats_per_byte(texts, nats):
    return sum(map(sum, nats)) / sum(len(t.encode()) for t in texts)


def _per_character(texts, nats):
    return sum(map(sum, nats)) / math.log(2) / sum(map(len, texts))


def _per_token(texts, nats):
    return sum(map(sum, nats)) / math.log(2) / sum(map(len, nats))


def _mean_of_means(texts, nats):
    rows = [sum(n) / math.log(2) / len(t.encode()) for t, n in zip(texts, nats, strict=True)]
    return sum(rows) / len(rows)


# The newest checkpoint.


def newest_stub(names):
    raise NotImplementedError


def newest(names):
    finished = [n for n in names if n.startswith("step-") and n[5:].isdigit()]
    return max(finished, key=lambda n: int(n[5:]), default=None)


def check_newest(answer):
    def case(names, want, message):
        try:
            got = answer(list(names))
        except (ValueError, IndexError) as error:
            expect(False, f"{message} ({type(error).__name__}: {error})", expected=want)
        expect(got == want, message, expected=want, got=got)

    case(["step-8", "step-9"], "step-9", "the highest number is the newest")
    case(["step-9", "step-90", "step-100"], "step-100",
         "compare the numbers, not the names: as text, step-90 comes after step-100")  # fmt: skip
    case(["step-5", ".step-7"], "step-5",
         "a name that begins with a dot is half-written and must not be taken")  # fmt: skip
    case(["step-5", "step-final", "log.jsonl", "step-12.tmp"], "step-5",
         "other files are no checkpoints: after 'step-' there are digits only")  # fmt: skip
    case([], None, "without a finished checkpoint the answer is None")
    case(["log.jsonl", ".step-3"], None, "without a finished checkpoint the answer is None")
    case(["step-100", "step-20"], "step-100", "the newest need not stand last in the list")
    case(["warm-step-7", "other-99", "step-3"], "step-3", "the name begins with 'step-'")


def _as_text(names):
    return max((n for n in names if n.startswith("step-") and n[5:].isdigit()), default=None)


def _takes_half_written(names):
    names = [n for n in names if n.lstrip(".").startswith("step-") and n.split("-")[1].isdigit()]
    return max(names, key=lambda n: int(n.split("-")[1]), default=None)


def _last_listed(names):
    finished = [n for n in names if n.startswith("step-") and n[5:].isdigit()]
    return finished[-1] if finished else None


def _trusts_all(names):
    finished = [n for n in names if n.startswith("step-")]
    return max(finished, key=lambda n: int(n[5:]), default=None)


# The interval of a paired difference.


def paired_interval_stub(a, b, t):
    raise NotImplementedError


def paired_interval(a, b, t):
    gaps = [x - y for x, y in zip(a, b, strict=True)]
    n = len(gaps)
    mean = sum(gaps) / n
    variance = sum((g - mean) ** 2 for g in gaps) / (n - 1)
    half = t * math.sqrt(variance / n)
    return mean - half, mean, mean + half


def check_paired_interval(answer):
    cases = (
        ([2.10, 2.31, 2.05], [2.04, 2.28, 1.96], 4.303),
        ([1.0, 3.0, 2.0, 5.0, 4.0], [1.5, 2.0, 2.5, 4.2, 3.1], 2.776),
    )
    for a, b, t in cases:
        got = answer(list(a), list(b), t)
        expect(isinstance(got, tuple | list) and len(got) == 3, "return (low, mean, high)")
        n = len(a)
        low, mean, high = paired_interval(a, b, t)
        half = high - mean
        close(
            got[1], mean, "the mean of the differences a − b",
            suspects={"this is b − a": -mean},
        )  # fmt: skip
        apart = t * math.sqrt((stdev(a) ** 2 + stdev(b) ** 2) / n)
        suspects = {
            "the variance divides by n − 1, since the mean was estimated too": (
                half * math.sqrt((n - 1) / n)
            ),
            "this is the spread of one difference; that of the mean is smaller by √n": (
                half * math.sqrt(n)
            ),
            "this divides by n, but the spread of a mean falls with √n": half / math.sqrt(n),
            "the factor t is missing": half / t,
            "this treats a and b as unrelated; take the spread of the differences": apart,
        }
        for k, sign, end in ((0, -1, "low"), (2, 1, "high")):
            close(
                got[k], mean + sign * half, f"the {end} end is not t · s / √n from the mean",
                suspects={text: mean + sign * h for text, h in suspects.items()},
            )  # fmt: skip

    raises(
        ValueError,
        lambda: answer([1.0, 2.0, 3.0], [1.0, 2.0], 4.303),
        "lists of unequal length have no pairs: raise a ValueError",
    )


def _population(a, b, t):
    low, mean, high = paired_interval(a, b, t)
    half = (high - mean) * math.sqrt((len(a) - 1) / len(a))
    return mean - half, mean, mean + half


def _of_one(a, b, t):
    low, mean, high = paired_interval(a, b, t)
    half = (high - mean) * math.sqrt(len(a))
    return mean - half, mean, mean + half


def _unpaired(a, b, t):
    n, ma, mb = len(a), sum(a) / len(a), sum(b) / len(b)
    va = sum((x - ma) ** 2 for x in a) / (n - 1)
    vb = sum((x - mb) ** 2 for x in b) / (n - 1)
    half = t * math.sqrt((va + vb) / n)
    return ma - mb - half, ma - mb, ma - mb + half


def _turned(a, b, t):
    return paired_interval(b, a, t)


EXERCISES = (
    Exercise(
        id="pretraining.pack_windows",
        title="Pack documents into windows",
        stub=pack_windows_stub,
        solution=pack_windows,
        check=check_pack_windows,
        hints=(
            "First make one long list. Then cut it; think about which ids are inputs and which "
            "are targets in each window.",
            "Stream: for each document its ids and the end mark. Windows begin at 0, T, 2T, … and "
            "have T + 1 ids, as long as they fit.",
            "`range(0, len(stream) - context, context)` are the starts; a window is "
            "`stream[start : start + context + 1]`.",
        ),
        wrong=(
            Wrong(_no_end, "not closed"),
            Wrong(_between, "the last one ends, too"),
            Wrong(_disjoint, "do not overlap"),
            Wrong(_short, "T + 1"),
            Wrong(_keeps_rest, "drop"),
            Wrong(_sliding, "slides by one"),
        ),
    ),
    Exercise(
        id="pretraining.bits_per_byte",
        title="Bits per byte",
        stub=bits_per_byte_stub,
        solution=bits_per_byte,
        check=check_bits_per_byte,
        hints=(
            "All surprise of all tokens, shared out over all bytes.",
            "Add up every document's surprises; add up every text's bytes in UTF-8; divide; turn "
            "nats into bits.",
            '`len(text.encode("utf-8"))` counts bytes; dividing nats by `math.log(2)` gives bits.',
        ),
        wrong=(
            Wrong(_nats_per_byte, "these are nats"),
            Wrong(_per_character, "characters"),
            Wrong(_per_token, "by tokens"),
            Wrong(_mean_of_means, "mean of the documents' means"),
        ),
    ),
    Exercise(
        id="pretraining.newest",
        title="The newest whole checkpoint",
        stub=newest_stub,
        solution=newest,
        check=check_newest,
        hints=(
            "Two questions: which names are finished checkpoints at all, and which of these has "
            "the largest number?",
            "Keep the names that are 'step-' and digits. Take the maximum by the number, or None.",
            "`max(finished, key=lambda n: int(n[5:]), default=None)`, where `finished` are those "
            'with `n.startswith("step-") and n[5:].isdigit()`.',
        ),
        wrong=(
            Wrong(_as_text, "compare the numbers"),
            Wrong(_takes_half_written, "half-written"),
            Wrong(_last_listed, "need not stand last"),
            Wrong(_trusts_all, "digits only"),
        ),
    ),
    Exercise(
        id="pretraining.paired_interval",
        title="Is one recipe better?",
        stub=paired_interval_stub,
        solution=paired_interval,
        check=check_paired_interval,
        hints=(
            "Pairing turns two lists into one: the differences. What is the uncertainty of their "
            "mean?",
            "Mean of the differences; their variance with n − 1; half-width t · √(variance / n).",
            "`variance = sum((g - mean) ** 2 for g in gaps) / (n - 1)`, "
            "`half = t * math.sqrt(variance / n)`.",
        ),
        wrong=(
            Wrong(_population, "n − 1"),
            Wrong(_of_one, "one difference"),
            Wrong(_unpaired, "unrelated"),
            Wrong(_turned, "b − a"),
        ),
    ),
)
