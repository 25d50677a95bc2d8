"""Shares of one sum: gradients, chunks, shards."""

import math

import torch

from llmcourse.exercises.core import Exercise, Wrong, close, expect

# One gradient from several processes' means.


def merge_stub(gradients, targets):
    raise NotImplementedError


def merge(gradients, targets):
    total = sum(targets)
    return sum(gradients[i] * (n / total) for i, n in enumerate(targets) if n)


def check_merge(answer):
    generator = torch.Generator().manual_seed(0)

    def case(targets):
        grads = [torch.randn(3, 2, generator=generator, dtype=torch.float64) for _ in targets]
        for g, n in zip(grads, targets, strict=True):
            if not n:
                g.fill_(math.nan)  # a mean over no targets
        known = [(g, n) for g, n in zip(grads, targets, strict=True) if n]
        want = merge(grads, targets)
        weighted = sum(g * n for g, n in known)
        got = answer([g.clone() for g in grads], list(targets))
        expect(
            not torch.is_tensor(got) or not got.isnan().any(),
            "a process without targets has no mean (NaN), and 0 · NaN is NaN: leave it out",
            got=got,
        )
        close(
            got, want, "weigh each mean by its share of all targets",
            suspects={
                "this is the mean of the means: a target counts more where there are few": (
                    sum(g for g, _ in known) / len(known)
                ),
                "this is the sum of the means": sum(g for g, _ in known),
                "the weighted sum must be divided by the number of all targets": weighted,
                "divide by the number of all targets, not of the processes": (
                    weighted / len(targets)
                ),
            },
        )  # fmt: skip

    case([7, 2])
    case([1, 5, 3])
    case([4, 0, 1])


def _mean_of_means(gradients, targets):
    return sum(gradients) / len(gradients)


def _unweighted(gradients, targets):
    return sum(g for g, n in zip(gradients, targets, strict=True) if n)


def _undivided(gradients, targets):
    return sum(g * n for g, n in zip(gradients, targets, strict=True) if n)


def _with_nothing(gradients, targets):
    return sum(g * n for g, n in zip(gradients, targets, strict=True)) / sum(targets)


# One step of the ring.


def ring_step_stub(held, s):
    raise NotImplementedError


def ring_step(held, s):
    n = len(held)
    after = [list(chunks) for chunks in held]
    for rank in range(n):
        c, right = (rank - s) % n, (rank + 1) % n
        after[right][c] = held[right][c] + held[rank][c]
    return after


def _ring_wrong(held, s, way):
    n = len(held)
    after = [list(chunks) for chunks in held]
    for rank in range(n):
        c, to = (rank - s) % n, (rank + 1) % n
        if way == "left":
            to = (rank - 1) % n
        elif way == "same":
            c = rank
        elif way == "forward":
            c = (rank + s) % n
        value = held[rank][c]
        after[to][c] = value if way == "overwrite" else held[to][c] + value
        if way == "all":
            after[to] = [a + b for a, b in zip(held[to], held[rank], strict=True)]
    return after


RING = {
    "overwrite": "what arrives is added to what is held, not put in its place",
    "left": "chunks travel to process rank + 1, here they go to rank − 1",
    "same": "the chunk sent is (rank − s) mod n: what arrived in the step before travels on",
    "forward": "the chunk sent is (rank − s) mod n, here it is (rank + s) mod n",
    "all": "one chunk is sent in a step; here all are",
}


def check_ring_step(answer):
    for n in (2, 3, 5):
        start = [[float(10**c * (rank + 1)) for c in range(n)] for rank in range(n)]
        held = start
        for s in range(n - 1):
            want = ring_step(held, s)
            got = answer([list(chunks) for chunks in held], s)
            expect(
                isinstance(got, list | tuple) and [len(g) for g in got] == [n] * n,
                "return what every process holds: n lists of n chunks", got=got,
            )  # fmt: skip
            got = [list(g) for g in got]
            for way, diagnosis in RING.items():
                expect(
                    got == want or got != _ring_wrong(held, s, way), diagnosis,
                    expected=want, got=got,
                )  # fmt: skip
            expect(
                got == want,
                f"step {s} of {n} processes: process r sends chunk (r − s) mod n to r + 1",
                expected=want, got=got,
            )  # fmt: skip
            held = want


def _ring_overwrites(held, s):
    return _ring_wrong(held, s, "overwrite")


def _ring_left(held, s):
    return _ring_wrong(held, s, "left")


def _ring_same(held, s):
    return _ring_wrong(held, s, "same")


def _ring_all(held, s):
    return _ring_wrong(held, s, "all")


# Shards of one number of processes, for another.


def reshard_stub(pieces, size, n):
    raise NotImplementedError


def reshard(pieces, size, n):
    whole = torch.cat(pieces)[:size]
    length = -(-size // n)
    padded = torch.zeros(n * length, dtype=whole.dtype)
    padded[:size] = whole
    return list(padded.split(length))


def _cut(size, n, first=1):
    length = -(-size // n)
    padded = torch.zeros(n * length, dtype=torch.float64)
    padded[:size] = torch.arange(first, first + size, dtype=torch.float64)
    return list(padded.split(length))


def check_reshard(answer):
    for size, old, n in ((9, 4, 3), (10, 2, 4), (7, 4, 2), (5, 3, 4), (8, 4, 1), (9, 1, 5)):
        pieces = _cut(size, old)
        case = f"{size} numbers of {old} processes for {n}"
        got = answer([p.clone() for p in pieces], size, n)
        expect(isinstance(got, list | tuple), f"{case}: return a list of tensors", got=got)
        expect(len(got) == n, f"{case}: one piece a process", expected=n, got=len(got))
        lengths = {len(p) for p in got}
        expect(
            len(lengths) == 1,
            f"{case}: all pieces must be of one length, filled with zeros: collectives want it",
            got=[len(p) for p in got],
        )
        want, flat = _cut(size, n), torch.cat(list(got))
        close(
            flat, torch.cat(want), f"{case}: all numbers in order, then zeros",
            suspects={
                "the old filling was taken for numbers: cut to `size` before cutting anew": (
                    torch.cat(_keeps_padding(pieces, size, n))
                ),
                "numbers are lost: the length of a piece is size / n rounded up": (
                    torch.cat(_rounds_down(pieces, size, n))
                ),
                "fill at the end, not at the beginning": torch.cat(_pads_front(pieces, size, n)),
            },
        )  # fmt: skip


def _keeps_padding(pieces, size, n):
    return reshard(pieces, sum(len(p) for p in pieces), n)


def _rounds_down(pieces, size, n):
    length = size // n
    return list(torch.cat(pieces)[: n * length].split(length))


def _pads_front(pieces, size, n):
    whole = torch.cat(pieces)[:size]
    length = -(-size // n)
    return list(torch.cat([whole.new_zeros(n * length - size), whole]).split(length))


def _unequal(pieces, size, n):
    return list(torch.cat(pieces)[:size].tensor_split(n))


EXERCISES = (
    Exercise(
        id="distributed.merge",
        title="One gradient from several means",
        stub=merge_stub,
        solution=merge,
        check=check_merge,
        hints=(
            "The mean over all targets weighs each process by its number of targets.",
            "total = all targets; sum over processes with targets of gradient · targets / total",
            "sum(gradients[i] * (n / total) for i, n in enumerate(targets) if n)",
        ),
        wrong=(
            Wrong(_mean_of_means, "mean of the means"),
            Wrong(_unweighted, "sum of the means"),
            Wrong(_undivided, "divided by the number of all targets"),
            Wrong(_with_nothing, "0 · NaN is NaN"),
        ),
    ),
    Exercise(
        id="distributed.ring_step",
        title="A step of the ring",
        stub=ring_step_stub,
        solution=ring_step,
        check=check_ring_step,
        hints=(
            "In step s each process passes on the chunk that reached it in the step before.",
            "copy held; for each rank: c = (rank − s) mod n; the right neighbour's chunk c grows",
            "after[(rank + 1) % n][c] = held[(rank + 1) % n][c] + held[rank][c]",
        ),
        wrong=(
            Wrong(_ring_overwrites, "added to what is held"),
            Wrong(_ring_left, "rank − 1"),
            Wrong(_ring_same, "travels on"),
            Wrong(_ring_all, "one chunk is sent in a step"),
        ),
    ),
    Exercise(
        id="distributed.reshard",
        title="Shards for another number of processes",
        stub=reshard_stub,
        solution=reshard,
        check=check_reshard,
        hints=(
            "Put the whole together, without its filling, and cut it anew.",
            "whole = first `size` of all pieces; length = size / n rounded up; fill to n · length",
            "padded = torch.zeros(n * length); padded[:size] = whole; padded.split(length)",
        ),
        wrong=(
            Wrong(_keeps_padding, "old filling"),
            Wrong(_rounds_down, "rounded up"),
            Wrong(_pads_front, "not at the beginning"),
            Wrong(_unequal, "of one length"),
        ),
    ),
)
