"""Exercises of the chapter `algorithms/tokenization`."""

import codecs
import random
from collections import Counter
from itertools import pairwise

from llmcourse.exercises.core import Exercise, Wrong, expect


def diagnose(got, want, message, suspects):
    """Fail with the suspect whose answer this is, else with `message`, unless `got` is right."""
    for diagnosis, value in suspects.items():
        expect(got != value, diagnosis, expected=want, got=got)
    expect(got == want, message, expected=want, got=got)


# Count the pairs.


def pair_counts_stub(words):
    raise NotImplementedError


def pair_counts(words):
    counts = Counter()
    for word, times in words.items():
        for pair in pairwise(word):
            counts[pair] += times
    return counts


def check_pair_counts(answer):
    def case(words, want, message):
        got = answer(words)
        expect(hasattr(got, "items"), f"it should return a dict, got {type(got).__name__}")
        got = {pair: n for pair, n in got.items() if n}
        diagnose(got, want, message, {})

    case({(1, 2, 3): 1}, {(1, 2): 1, (2, 3): 1}, "a pair is two neighbours, in their order")
    case({(1, 2): 5}, {(1, 2): 5}, "a word that occurs 5 times brings its pairs 5 times")
    case(
        {(1, 2, 1, 2): 3},
        {(1, 2): 6, (2, 1): 3},
        "the pair (1, 2) stands twice in a word that occurs 3 times: 6 times in all",
    )
    case({(1, 2): 1, (3, 4): 1}, {(1, 2): 1, (3, 4): 1}, "no pair spans two words")
    case({(7,): 9, (): 2}, {}, "a word of fewer than two tokens has no pair")
    case({(7, 7, 7): 1}, {(7, 7): 2}, "in 7 7 7 the pair (7, 7) stands side by side twice")


def _ignores_times(words):
    return Counter(pair for word in words for pair in pairwise(word))


def _once_a_word(words):
    counts = Counter()
    for word, times in words.items():
        for pair in set(pairwise(word)):
            counts[pair] += times
    return counts


def _across_words(words):
    counts, before = Counter(), None
    for word, times in words.items():
        for token in word:
            if before is not None:
                counts[before, token] += times
            before = token
    return counts


def _unordered(words):
    counts = Counter()
    for (a, b), times in pair_counts(words).items():
        counts[max(a, b), min(a, b)] += times
    return counts


def merge_stub(ids, pair, new):
    raise NotImplementedError


def merge(ids, pair, new):
    merged = []
    for token in ids:
        if merged and (merged[-1], token) == pair:
            merged[-1] = new
        else:
            merged.append(token)
    return merged


def check_merge(answer):
    def case(ids, pair, want, message, suspects=()):
        got = answer(list(ids), pair, 9)
        expect(got is not None, "it returned None: is a `return` missing?")
        diagnose(list(got), want, message, dict(suspects))

    case([5, 1, 2, 6], (1, 2), [5, 9, 6], "1 2 inside 5 1 2 6 should become 9",
         {"the last token was not part of a pair and got lost": [5, 9]})  # fmt: skip
    case([1, 2, 3, 1, 2], (1, 2), [9, 3, 9], "every 1 2 should become 9, the last one too")
    case([2, 1, 1], (1, 2), [2, 1, 1], "2 1 is not the pair 1 2")
    case([1, 1, 1], (1, 1), [9, 1], "in 1 1 1 one pair merges and one 1 is left", {
        "in 1 1 1 the left pair goes first, and the right 1 is left over": [1, 9],
        "in 1 1 1 the middle 1 cannot belong to two pairs": [9, 9],
    })  # fmt: skip
    case([1] * 5, (1, 1), [9, 9, 1], "1 1 1 1 1 holds two pairs that do not overlap, and a rest")
    case([], (1, 2), [], "nothing merges into nothing")
    case([1], (1, 2), [1], "one token alone has no pair, and stays")
    case([1, 2, 2], (1, 2), [9, 2], "after 1 2 has become 9, the 2 that follows stays")
    case([0, 1, 2, 0], (1, 2), [0, 9, 0], "what is no part of the pair stays, the id 0 too")


def _first_only(ids, pair, new):
    hits = [at for at, neighbours in enumerate(pairwise(ids)) if neighbours == pair]
    return [*ids[: hits[0]], new, *ids[hits[0] + 2 :]] if hits else ids


def _overlapping(ids, pair, new):
    hits = [neighbours == pair for neighbours in pairwise(ids)]
    after = [False, *hits]
    return [
        new if hit else token
        for token, hit, taken in zip(ids, [*hits, False], after, strict=True)
        if hit or not taken
    ]


def _from_the_right(ids, pair, new):
    return merge(ids[::-1], pair[::-1], new)[::-1]


def _drops_the_last(ids, pair, new):
    merged = merge(ids, pair, new)
    return merged if merged[-1:] == [new] else merged[:-1]


# Encode by the order in which merges were learned.


def encode_stub(ids, ranks):
    raise NotImplementedError


def encode(ids, ranks):
    ids = list(ids)
    while True:
        found = [(ranks[pair], at) for at, pair in enumerate(pairwise(ids)) if pair in ranks]
        if not found:
            return ids
        rank, at = min(found)
        ids[at : at + 2] = [256 + rank]


# Learned in this order: 256 bc, 257 ab, 258 ab-c, 259 cd, 260 bc-d, 261 a-bcd.
A, B, C, D = 97, 98, 99, 100
RANKS = {(B, C): 0, (A, B): 1, (257, C): 2, (C, D): 3, (256, D): 4, (A, 260): 5}


def check_encode(answer):
    def case(ids, ranks, want, message, suspects=()):
        got = answer(list(ids), dict(ranks))
        expect(got is not None, "it returned None: is a `return` missing?")
        diagnose(list(got), want, message, dict(suspects))

    case([D, A], RANKS, [D, A], "no pair of these can merge, so the ids stay as they are")
    case([A, B], RANKS, [257], "the merge of rank r makes the id 256 + r: a b has rank 1")
    case(
        [A, B, C, D],
        RANKS,
        [261],
        "what a merge makes may merge again: in a b c d first b c, then bc d, then a bcd",
        {
            "here the leftmost pair goes first; the one learned first should": [
                258,
                D,
            ]
        },
    )
    case(
        [A, B, C],
        RANKS,
        [A, 256],
        "in a b c the merge b c was learned first, so it goes first: a bc",
        {"this is the longest match: 258 is a b c, but b c was learned before a b, so training "
         "never made 258 here, and encoding must not": [258]},
    )  # fmt: skip
    case([C, B, C, D], RANKS, [C, 260], "what a merge makes may merge again: b c, then bc d")
    case(
        [B, C, D, A, B, C],
        RANKS,
        [260, A, 256],
        "all places are one race: after each merge look for the earliest learned pair again",
    )
    case([], RANKS, [], "no ids, no tokens")
    case([7, 7, 7], {(7, 7): 0}, [256, 7], "of equal ranks the leftmost goes first: 7 7 7 → 256 7")
    rng = random.Random(0)
    for _ in range(40):
        ids = [rng.choice([A, B, C, D]) for _ in range(rng.randrange(2, 12))]
        case(ids, RANKS, encode(ids, RANKS), f"ids {ids} and merges bc, ab, abc, cd, bcd, abcd")


def _longest_match(ids, ranks):
    spelled = {}
    for (a, b), rank in sorted(ranks.items(), key=lambda item: item[1]):
        spelled[256 + rank] = spelled.get(a, (a,)) + spelled.get(b, (b,))
    out, at = [], 0
    while at < len(ids):
        fits = [t for t, parts in spelled.items() if tuple(ids[at : at + len(parts)]) == parts]
        out.append(max(fits, key=lambda t: len(spelled[t])) if fits else ids[at])
        at += len(spelled.get(out[-1], (0,)))
    return out


def _one_pass(ids, ranks):
    ids = list(ids)
    found = [(ranks[p], p) for p in pairwise(ids) if p in ranks]
    return merge(ids, min(found)[1], 256 + min(found)[0]) if found else ids


def _leftmost_first(ids, ranks):
    ids, at = list(ids), 0
    while at < len(ids) - 1:
        if (ids[at], ids[at + 1]) in ranks:
            ids[at : at + 2] = [256 + ranks[ids[at], ids[at + 1]]]
            at = 0
        else:
            at += 1
    return ids


def _rank_for_id(ids, ranks):
    return [i - 256 if i >= 256 else i for i in encode(ids, ranks)]


def stream_stub(chunks):
    raise NotImplementedError


def stream(chunks):
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    pieces = [decoder.decode(chunk) for chunk in chunks]
    return [*pieces, decoder.decode(b"", final=True)]


def check_stream(answer):
    def case(chunks, want, message, suspects=()):
        got = answer(list(chunks))
        expect(got is not None, "it returned None: is a `return` missing?")
        got = list(got)
        for piece in got:
            expect(isinstance(piece, str), f"pieces should be str, got {type(piece).__name__}")
        diagnose(got, want, message, dict(suspects))

    case([b"ab", b"c"], ["ab", "c", ""], "one piece a chunk, and one at the end for what is held",
         {"everything comes at the end: show what is whole as soon as it is": ["", "", "abc"],
          "the last piece is missing, for what is still held": ["ab", "c"]})  # fmt: skip
    case(
        [b"\xc3", b"\xa9!"],
        ["", "é!", ""],
        "é is two bytes in two chunks: hold the first until the second comes",
        {"each chunk is decoded alone, so half an é shows as U+FFFD": ["\ufffd", "\ufffd!", ""],
         "the two halves of é were thrown away": ["", "!", ""]},
    )  # fmt: skip
    case(
        [b"x\xe4\xbd", b"\xa0", b"\xe5\xa5\xbd"],
        ["x", "你", "好", ""],
        "你 is three bytes: after two of them there is nothing to show yet",
        {"the x was whole, and had to wait for 你: hold only the unfinished character":
         ["", "x你", "好", ""]},
    )  # fmt: skip
    case([b"\xf0", b"\x9f", b"\x98", b"\x80", b"."], ["", "", "", "😀", ".", ""],
         "😀 is four bytes in four chunks")  # fmt: skip
    case([b"\xf0\x9f\x98", b"\x80\xc2\xa2"], ["", "😀¢", ""], "three of four bytes, then the last")
    case([b"a\xe4\xbd"], ["a", "\ufffd"], "a text that ends inside a character ends with U+FFFD",
         {"what was still held at the end is lost": ["a", ""]})  # fmt: skip
    case([b"\xff", b"a"], ["\ufffd", "a", ""], "0xFF begins no character: show U+FFFD, do not wait")
    case([b"\x80\x80", b"a"], ["\ufffd\ufffd", "a", ""], "bytes with no beginning do not wait")
    case([], [""], "no chunk: only the last, empty piece")
    text = "naïve 中文 😀é".encode()
    for size in (1, 2, 3, 5):
        chunks = [text[i : i + size] for i in range(0, len(text), size)]
        case(chunks, stream(chunks), f"the text {text.decode()!r} in chunks of {size} bytes")


def _each_alone(chunks):
    return [chunk.decode("utf-8", errors="replace") for chunk in chunks] + [""]


def _ignores(chunks):
    return [chunk.decode("utf-8", errors="ignore") for chunk in chunks] + [""]


def _waits_for_all(chunks):
    return [""] * len(chunks) + [b"".join(chunks).decode("utf-8", errors="replace")]


def _forgets_the_end(chunks):
    return [*stream(chunks)[:-1], ""]


EXERCISES = (
    Exercise(
        id="tokenization.pair_counts",
        title="Count the pairs",
        stub=pair_counts_stub,
        solution=pair_counts,
        check=check_pair_counts,
        hints=(
            "A word that occurs n times in the text brings each of its pairs n times. "
            "Words are separate: no pair has a foot in each of two.",
            "for each word and its number of occurrences:\n"
            "    for each two neighbours in the word:\n"
            "        add the number of occurrences to that pair's count",
            "`zip(word, word[1:])` gives the neighbours; with `counts = Counter()`, the inner line "
            "is `counts[pair] += times`.",
        ),
        wrong=(
            Wrong(_ignores_times, "occurs 5 times brings its pairs 5 times"),
            Wrong(_once_a_word, "6 times in all"),
            Wrong(_across_words, "no pair spans two words"),
            Wrong(_unordered, "in their order"),
        ),
    ),
    Exercise(
        id="tokenization.merge",
        title="Merge one pair",
        stub=merge_stub,
        solution=merge,
        check=check_merge,
        hints=(
            "Go through the ids once, from left to right, and build a new list. When the pair is "
            "complete, the new id stands for both.",
            "for each token:\n"
            "    if the last token kept and this one are the pair: the new id takes its place\n"
            "    else: keep the token",
            "`if merged and (merged[-1], token) == pair: merged[-1] = new`. Since `new` differs "
            "from both, a merged pair cannot merge again.",
        ),
        wrong=(
            Wrong(_first_only, "the last one too"),
            Wrong(_overlapping, "the middle 1 cannot belong to two"),
            Wrong(_from_the_right, "the left pair goes first"),
            Wrong(_drops_the_last, "got lost"),
        ),
    ),
    Exercise(
        id="tokenization.encode",
        title="Encode by the order of learning",
        stub=encode_stub,
        solution=encode,
        check=check_encode,
        hints=(
            "Encoding replays training. Of all pairs now side by side that can merge, the one "
            "learned first merges first; then the neighbours have changed, so look again.",
            "repeat:\n"
            "    list (rank, place) of every neighbouring pair that is in ranks\n"
            "    if there is none: return\n"
            "    merge at the smallest (rank, place)",
            "`min` of tuples (rank, at) takes the lowest rank and, of equals, the leftmost place; "
            "then `ids[at:at + 2] = [256 + rank]`.",
        ),
        wrong=(
            Wrong(_longest_match, "this is the longest match"),
            Wrong(_one_pass, "in a b c d first b c, then bc d"),
            Wrong(_leftmost_first, "the leftmost pair goes first"),
            Wrong(_rank_for_id, "makes the id 256 + r"),
        ),
    ),
    Exercise(
        id="tokenization.stream",
        title="Show text as it arrives",
        stub=stream_stub,
        solution=stream,
        check=check_stream,
        hints=(
            "Hold back only the bytes of a character that is not complete yet. The first byte of a "
            "UTF-8 character tells how many follow; a byte from 0x80 to 0xBF continues one.",
            "for each chunk: append it to what is held\n"
            "    from the end, step back over continuing bytes (three at most) to a first byte\n"
            "    if that character needs more bytes than are here: hold it, show the rest\n"
            "    else: show everything\n"
            "at the end: decode what is held, with U+FFFD",
            "First bytes: 0xC0–0xDF begin 2 bytes, 0xE0–0xEF begin 3, 0xF0 and above begin 4. Or "
            "let `codecs.getincrementaldecoder('utf-8')(errors='replace')` hold them for you.",
        ),
        wrong=(
            Wrong(_each_alone, "decoded alone"),
            Wrong(_ignores, "thrown away"),
            Wrong(_waits_for_all, "everything comes at the end"),
            Wrong(_forgets_the_end, "at the end is lost"),
        ),
    ),
)
