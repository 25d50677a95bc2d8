"""Exercises of the chapter `practice/preprocessing`."""

import math
import random
import unicodedata

from llmcourse.exercises.core import Exercise, Wrong, close, expect, raises

# A key under which texts are compared.


def dedup_key_stub(text):
    raise NotImplementedError


def dedup_key(text):
    plain = unicodedata.normalize("NFKC", text)
    return " ".join(plain.casefold().split())


def check_dedup_key(answer):
    def case(text, message):
        want, got = dedup_key(text), answer(text)
        expect(got == want, message, expected=want, got=got)

    case("a b bc", "spaces between words stay, or 'a b' and 'ab' would be one text")
    case("cafe\u0301 ﬁne ｆｕｌｌ", "NFKC makes one spelling of what looks alike")
    case("Straße STRASSE", "casefold, not lower: ß and ss are one when case does not count")
    case("A\n\n  few\tlines  more", "any run of white space becomes one space")
    case("  ends here \n", "no white space stays at the ends")
    case("b a c a", "the order of the words is part of the text")
    case("don't stop. don't go", "words and marks must stay: other texts get other keys")
    case("№ 5, ℡ 12", "NFKC comes first: it writes № as No, and that capital must be folded too")
    case("", "an empty text has an empty key")


def _nfc(text):
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _folds_first(text):
    return " ".join(unicodedata.normalize("NFKC", text.casefold()).split())


def _lower(text):
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


def _spaces_stay(text):
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _no_spaces(text):
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _bag(text):
    return " ".join(sorted(unicodedata.normalize("NFKC", text).casefold().split()))


# The estimate from two signatures, and its error.


def minhash_stub(one, two):
    raise NotImplementedError


def minhash(one, two):
    if len(one) != len(two) or len(one) == 0:
        raise ValueError(f"need two signatures of one length, got {len(one)} and {len(two)}")
    k = len(one)
    share = sum(one[i] == two[i] for i in range(k)) / k
    return share, math.sqrt(share * (1 - share) / k)


def check_minhash(answer):
    cases = (
        ([5, 3, 9, 4, 7, 7, 1, 2], [5, 3, 9, 1, 7, 4, 2, 1]),
        ([10, 20, 30, 40, 50], [50, 20, 10, 30, 40]),
        ([1, 1, 2, 3, 5, 8], [1, 1, 2, 3, 5, 9]),
    )
    for one, two in cases:
        share, error = minhash(one, two)
        got = answer(list(one), list(two))
        expect(isinstance(got, tuple | list) and len(got) == 2, "return (J, se)")
        k, shared = len(one), len(set(one) & set(two))
        close(
            got[0], share, "the share of places in which the two agree",
            suspects={
                "places are compared one by one: this is the Jaccard similarity of the "
                "signatures as sets": shared / len(set(one) | set(two)),
                "this is the share of places that differ": 1 - share,
                "this is a count; divide by k": share * k,
            },
        )  # fmt: skip
        close(
            got[1], error, "the standard error is √(J (1 − J) / k)",
            suspects={
                "this is the variance; take its root": error**2,
                "this is the spread of one coin; that of a mean of k falls with √k": (
                    error * math.sqrt(k)
                ),
                "inside the root stands J (1 − J), not J": math.sqrt(share / k),
            },
        )  # fmt: skip
    close(answer([4, 4], [4, 4])[1], 0.0, "equal signatures: an estimated error of 0")
    raises(ValueError, lambda: answer([1, 2, 3], [1, 2]), "unequal lengths: raise a ValueError")
    raises(ValueError, lambda: answer([1, 2], [1, 2, 3]), "unequal lengths: raise a ValueError")
    raises(ValueError, lambda: answer([], []), "without places there is no estimate: a ValueError")


def _sets(one, two):
    share, error = minhash(one, two)
    return len(set(one) & set(two)) / len(set(one) | set(two)), error


def _differing(one, two):
    share, error = minhash(one, two)
    return 1 - share, error


def _variance(one, two):
    share, error = minhash(one, two)
    return share, error**2


def _of_one_coin(one, two):
    share, error = minhash(one, two)
    return share, error * math.sqrt(len(one))


def _no_complement(one, two):
    share, _ = minhash(one, two)
    return share, math.sqrt(share / len(one))


# Bands for a threshold.


def bands_stub(k, s):
    raise NotImplementedError


def bands(k, s):
    choices = [(k // r, r) for r in range(1, k + 1) if k % r == 0]
    return min(choices, key=lambda c: abs(1 - (1 - s ** c[1]) ** c[0] - 0.5))


def check_bands(answer):
    def at(s, b, r):
        return 1 - (1 - s**r) ** b

    for k, s in ((128, 0.5), (128, 0.8), (128, 0.3), (60, 0.65), (24, 0.9), (64, 0.72), (60, 0.99)):
        got = answer(k, s)
        expect(isinstance(got, tuple | list) and len(got) == 2, "return (b, r)")
        b, r = got
        want = bands(k, s)
        turned = (want[1], want[0])
        expect((b, r) != turned or turned == want, "bands first, places second: this is (r, b)")
        expect(b * r == k, f"all places are used: b · r must be {k}", got=(b, r))
        divisors = [(k // q, q) for q in range(1, k + 1) if k % q == 0]
        steep = min(divisors, key=lambda c: abs((1 / c[0]) ** (1 / c[1]) - s))
        all_bands = min(divisors, key=lambda c: abs(s**k - 0.5))
        one_band = min(divisors, key=lambda c: abs(s ** c[1] - 0.5))
        swapped = min(divisors, key=lambda c: abs(at(s, c[1], c[0]) - 0.5))
        for diagnosis, mistake in {
            "this compares the rule of thumb (1/b)^(1/r) with s; take the curve itself": steep,
            "this asks that one band agree; any of the b may": one_band,
            "b and r have changed places in the curve": swapped,
            "this asks that all bands agree; one is enough": all_bands,
        }.items():
            expect((b, r) != mistake or mistake == want, diagnosis, expected=want, got=(b, r))
        expect((b, r) == want, "another choice comes nearer to one half at s",
               expected=(want, at(s, *want)), got=((b, r), at(s, b, r)))  # fmt: skip
    expect(tuple(answer(7, 1.0)) == (7, 1), "of equally near ones, that with the smaller r",
           expected=(7, 1), got=answer(7, 1.0))  # fmt: skip


def _thumb(k, s):
    choices = [(k // r, r) for r in range(1, k + 1) if k % r == 0]
    return min(choices, key=lambda c: abs((1 / c[0]) ** (1 / c[1]) - s))


def _one_band(k, s):
    choices = [(k // r, r) for r in range(1, k + 1) if k % r == 0]
    return min(choices, key=lambda c: abs(s ** c[1] - 0.5))


def _turned(k, s):
    b, r = bands(k, s)
    return r, b


def _not_all_places(k, s):
    b, r = bands(k, s)
    return max(1, b - 1), r


# A split by document.


def split_by_document_stub(lines, share, chance):
    raise NotImplementedError


def split_by_document(lines, share, chance):
    names = sorted({name for name, _ in lines})
    held = set(chance.sample(names, max(1, round(share * len(names)))))
    train = [line for line in lines if line[0] not in held]
    test = [line for line in lines if line[0] in held]
    return train, test


def check_split_by_document(answer):
    cases = (
        ([(f"d{i % 7}", f"line {i}") for i in range(40)], 0.3, 0),
        ([(name, f"{name}{i}") for name in "qwertzuiop" for i in range(3)], 0.2, 5),
        ([("b", "1"), ("a", "2"), ("b", "3"), ("c", "4"), ("d", "5")], 0.1, 2),
        ([(f"long{i // 9}", "same") for i in range(45)], 0.38, 1),
    )
    for lines, share, seed in cases:
        got = answer(list(lines), share, random.Random(seed))
        expect(isinstance(got, tuple | list) and len(got) == 2, "return (train, test)")
        train, test = (list(map(tuple, part)) for part in got)
        want = split_by_document(lines, share, random.Random(seed))
        mixed = {name for name, _ in train} & {name for name, _ in test}
        expect(not mixed, f"documents {sorted(mixed)} stand in both parts: their lines leak")
        expect(sorted(train + test) == sorted(lines), "each line goes to exactly one part")
        expect(test, "at least one document goes to the test, however small the share")
        expect((test, train) != want, "train first, test second")
        size = len({name for name, _ in want[1]})
        expect(len({n for n, _ in test}) == size, "the share is one of documents, rounded",
               expected=size, got=len({n for n, _ in test}))  # fmt: skip
        drawn, right = ({n for n, _ in part} for part in (test, want[1]))
        expect(drawn == right, "draw with chance.sample from the sorted names, once",
               expected=sorted(right), got=sorted(drawn))  # fmt: skip
        expect([train, test] == list(want), "the lines keep their order",
               expected=want, got=(train, test))  # fmt: skip


def _by_line(lines, share, chance):
    held = set(chance.sample(range(len(lines)), max(1, round(share * len(lines)))))
    parts = ([x for i, x in enumerate(lines) if (i in held) == side] for side in (False, True))
    return tuple(parts)


def _none_at_least(lines, share, chance):
    names = sorted({name for name, _ in lines})
    held = set(chance.sample(names, round(share * len(names))))
    return [x for x in lines if x[0] not in held], [x for x in lines if x[0] in held]


def _exchanged(lines, share, chance):
    train, test = split_by_document(lines, share, chance)
    return test, train


def _grouped(lines, share, chance):
    train, test = split_by_document(lines, share, chance)
    return sorted(train), sorted(test)


def _rounded_down(lines, share, chance):
    names = sorted({name for name, _ in lines})
    held = set(chance.sample(names, max(1, int(share * len(names)))))
    return [x for x in lines if x[0] not in held], [x for x in lines if x[0] in held]


EXERCISES = (
    Exercise(
        id="preprocessing.dedup_key",
        title="A key for equal texts",
        stub=dedup_key_stub,
        solution=dedup_key,
        check=check_dedup_key,
        hints=(
            "Three things must stop counting: spelling of characters, case, and white space.",
            "Normalise with NFKC; casefold; split at white space and join with one space.",
            '`unicodedata.normalize("NFKC", text)`, `.casefold()`, and `" ".join(….split())`.',
        ),
        wrong=(
            Wrong(_nfc, "NFKC makes one spelling"),
            Wrong(_folds_first, "NFKC comes first"),
            Wrong(_lower, "casefold, not lower"),
            Wrong(_spaces_stay, "any run of white space"),
            Wrong(_no_spaces, "spaces between words stay"),
            Wrong(_bag, "order of the words"),
        ),
    ),
    Exercise(
        id="preprocessing.minhash",
        title="Similarity from signatures",
        stub=minhash_stub,
        solution=minhash,
        check=check_minhash,
        hints=(
            "Each place is a coin that shows heads with probability J. What does one do with k "
            "coins?",
            "J is the number of places that agree, over k. The error is that of a mean of k "
            "coins. Test the lengths first.",
            "`share = sum(one[i] == two[i] for i in range(k)) / k`, then "
            "`math.sqrt(share * (1 - share) / k)`.",
        ),
        wrong=(
            Wrong(_sets, "as sets"),
            Wrong(_differing, "that differ"),
            Wrong(_variance, "variance"),
            Wrong(_of_one_coin, "one coin"),
            Wrong(_no_complement, "not J"),
        ),
    ),
    Exercise(
        id="preprocessing.bands",
        title="Bands for a threshold",
        stub=bands_stub,
        solution=bands,
        check=check_bands,
        hints=(
            "There are few ways to cut k places into equal bands. Try them all.",
            "For each r that divides k: b = k // r, the height of the curve at s, its distance "
            "from one half. Keep the least.",
            "`min(choices, key=lambda c: abs(1 - (1 - s ** c[1]) ** c[0] - 0.5))` with the pairs "
            "`(k // r, r)` in rising order of r: `min` keeps the first of equals.",
        ),
        wrong=(
            Wrong(_thumb, "rule of thumb"),
            Wrong(_one_band, "one band agree"),
            Wrong(_turned, "bands first"),
            Wrong(_not_all_places, "all places are used"),
        ),
        equivalent_mutants={
            "choices = [(k // r, r) for r in range(1, k + 1) if k % r == 0] → "
            "choices = [(k // r, r) for r in range(1, k + 2) if k % r == 0]": (
                "k + 1 divides no k, so nothing is added"
            ),
        },
    ),
    Exercise(
        id="preprocessing.split_by_document",
        title="Split by document",
        stub=split_by_document_stub,
        solution=split_by_document,
        check=check_split_by_document,
        hints=(
            "First decide which documents are held out; then each line has no choice.",
            "Sorted names without repeats; draw at least one; go through the lines in their order.",
            "`held = set(chance.sample(names, max(1, round(share * len(names)))))`, then two "
            "list comprehensions over `lines`.",
        ),
        wrong=(
            Wrong(_by_line, "stand in both parts"),
            Wrong(_none_at_least, "at least one document"),
            Wrong(_exchanged, "train first"),
            Wrong(_grouped, "keep their order"),
            Wrong(_rounded_down, "one of documents, rounded"),
        ),
    ),
)
