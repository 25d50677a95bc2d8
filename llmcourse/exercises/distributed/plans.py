"""Parts of one model, and the plan of a long run."""

import math

import torch

from llmcourse.exercises.core import Exercise, Wrong, close, expect

# An MLP on several processes.


def parallel_mlp_stub(x, up, down, rank, n):
    raise NotImplementedError


def parallel_mlp(x, up, down, rank, n):
    up, down = up.chunk(n, dim=0)[rank], down.chunk(n, dim=1)[rank]
    return torch.relu(x @ up.T) @ down.T


def check_parallel_mlp(answer):
    generator = torch.Generator().manual_seed(1)
    for T, D, M, n in ((3, 4, 8, 2), (2, 6, 6, 3)):
        x, up, down = (
            torch.randn(shape, generator=generator, dtype=torch.float64)
            for shape in ((T, D), (M, D), (D, M))
        )
        whole = torch.relu(x @ up.T) @ down.T
        summands = []
        for rank in range(n):
            want = parallel_mlp(x, up, down, rank, n)
            suspects = {
                "the sum over the processes is taken outside: do not divide by n": want / n,
                "this is the whole MLP: the sum over the processes would be n times too large": (
                    whole
                ),
                "the activation is missing": (
                    x @ up.chunk(n)[rank].T @ down.chunk(n, dim=1)[rank].T
                ),
            }
            if D % n == 0:
                suspects[
                    "`up` was cut along its inputs: an activation of partial sums is wrong"
                ] = _cuts_inputs(x, up, down, rank, n)
            got = answer(x.clone(), up.clone(), down.clone(), rank, n)
            if torch.is_tensor(got):
                expect(
                    got.shape == (T, D),
                    "each process gives a summand of the whole output's shape, (T, D): cut `down` "
                    "along its inputs", expected=(T, D), got=tuple(got.shape),
                )  # fmt: skip
            close(
                got, want,
                f"process {rank} of {n}: its rows of `up`, the activation, its columns of `down`",
                suspects=suspects,
            )  # fmt: skip
            summands.append(got)
        close(sum(summands), whole, "the summands must add up to the whole MLP")


def _cuts_inputs(x, up, down, rank, n):
    part = torch.relu(x.chunk(n, dim=1)[rank] @ up.chunk(n, dim=1)[rank].T)
    return part @ down.T


def _divides(x, up, down, rank, n):
    return parallel_mlp(x, up, down, rank, n) / n


def _whole_mlp(x, up, down, rank, n):
    return torch.relu(x @ up.T) @ down.T


def _cuts_outputs(x, up, down, rank, n):
    return torch.relu(x @ up.T) @ down.chunk(n, dim=0)[rank].T


# The order of a stage's work.


def one_f_one_b_stub(stage, stages, micro):
    raise NotImplementedError


def one_f_one_b(stage, stages, micro):
    ahead = min(micro, stages - 1 - stage)
    plan = [("F", i) for i in range(ahead)]
    for i in range(micro - ahead):
        plan += [("F", ahead + i), ("B", i)]
    return plan + [("B", i) for i in range(micro - ahead, micro)]


def _plan(ahead, micro):
    ahead = max(0, min(micro, ahead))
    plan = [("F", i) for i in range(ahead)]
    for i in range(micro - ahead):
        plan += [("F", ahead + i), ("B", i)]
    return plan + [("B", i) for i in range(micro - ahead, micro)]


def check_one_f_one_b(answer):
    for stages, micro in ((3, 6), (2, 2), (4, 7), (4, 2), (1, 2)):
        for stage in range(stages):
            want = one_f_one_b(stage, stages, micro)
            got = answer(stage, stages, micro)
            case = f"stage {stage} of {stages}, {micro} micro-batches"
            expect(isinstance(got, list | tuple), f"{case}: return a list of pairs", got=got)
            got = [tuple(g) for g in got]
            suspects = {
                "all forward passes first is GPipe: it keeps every micro-batch": _plan(
                    micro, micro
                ),
                "the first forward passes ahead are stages − 1 − stage: one more is run here": (
                    _plan(stages - stage, micro)
                ),
                "stages count from 0 at the input: the first one runs furthest ahead": _plan(
                    stage, micro
                ),
                "all stages run ahead equally here; the last one needs not at all": _plan(
                    stages - 1, micro
                ),
            }
            for diagnosis, value in suspects.items():
                expect(got == want or got != value, f"{diagnosis} ({case})", expected=want, got=got)
            seen = set()
            for kind, i in got:
                expect(
                    kind != "B" or ("F", i) in seen,
                    f"{case}: micro-batch {i} goes backward before it went forward",
                    expected=want, got=got,
                )  # fmt: skip
                seen.add((kind, i))
            expect(
                sorted(got) == sorted(want),
                f"{case}: every micro-batch goes forward once and backward once",
                expected=want, got=got,
            )  # fmt: skip
            expect(
                [g for g in got if g[0] == "B"] == [w for w in want if w[0] == "B"],
                f"{case}: gradients arrive in the order of the micro-batches, first in, first out",
                expected=want, got=got,
            )  # fmt: skip
            expect(got == want, f"{case}: another order", expected=want, got=got)


def _all_forward(stage, stages, micro):
    return _plan(micro, micro)


def _one_more(stage, stages, micro):
    return _plan(stages - stage, micro)


def _from_the_end(stage, stages, micro):
    return _plan(stage, micro)


def _last_first(stage, stages, micro):
    plan = one_f_one_b(stage, stages, micro)
    kept, out = [], []
    for kind, i in plan:
        if kind == "F":
            kept.append(i)
        out.append((kind, i if kind == "F" else kept.pop()))
    return out


# How often to save.


def interval_stub(save, mtbf, machines):
    raise NotImplementedError


def interval(save, mtbf, machines):
    return math.sqrt(2 * save * mtbf / machines)


def check_interval(answer):
    for save, mtbf, machines in ((60.0, 3e7, 1), (30.0, 5e6, 100), (5.0, 1e6, 2000)):
        close(
            float(answer(save, mtbf, machines)), interval(save, mtbf, machines),
            "√(2 · save · M), where M is the mean time between failures of the whole",
            suspects={
                "n machines fail n times as often: the whole's mean time is mtbf / machines": (
                    math.sqrt(2 * save * mtbf)
                ),
                "more machines fail more often, not less": math.sqrt(2 * save * mtbf * machines),
                "the 2 under the root is missing": math.sqrt(save * mtbf / machines),
                "the root is missing": 2 * save * mtbf / machines,
                "the 2 belongs under the root": 2 * math.sqrt(save * mtbf / machines),
                "the machines divide inside the root": math.sqrt(2 * save * mtbf) / machines,
            },
        )  # fmt: skip


def _one_machine(save, mtbf, machines):
    return math.sqrt(2 * save * mtbf)


def _fewer_failures(save, mtbf, machines):
    return math.sqrt(2 * save * mtbf * machines)


def _no_two(save, mtbf, machines):
    return math.sqrt(save * mtbf / machines)


def _machines_outside(save, mtbf, machines):
    return math.sqrt(2 * save * mtbf) / machines


EXERCISES = (
    Exercise(
        id="distributed.parallel_mlp",
        title="An MLP on several processes",
        stub=parallel_mlp_stub,
        solution=parallel_mlp,
        check=check_parallel_mlp,
        hints=(
            "The activation acts on each hidden channel alone: share out the hidden channels.",
            "rows of `up` belong to hidden channels, and so do columns of `down`",
            "torch.relu(x @ up.chunk(n, dim=0)[rank].T) @ down.chunk(n, dim=1)[rank].T",
        ),
        wrong=(
            Wrong(_cuts_inputs, "along its inputs: an activation of partial sums"),
            Wrong(_divides, "do not divide by n"),
            Wrong(_whole_mlp, "n times too large"),
            Wrong(_cuts_outputs, "(T, D)"),
        ),
    ),
    Exercise(
        id="distributed.one_f_one_b",
        title="One forward, one backward",
        stub=one_f_one_b_stub,
        solution=one_f_one_b,
        check=check_one_f_one_b,
        hints=(
            "The last stage can go backward at once; each stage before it must run one more ahead.",
            "ahead = stages − 1 − stage, at most micro; then F and B in turn; then the B's left",
            "for i in range(micro - ahead): plan += [('F', ahead + i), ('B', i)]",
        ),
        wrong=(
            Wrong(_all_forward, "GPipe"),
            Wrong(_one_more, "one more is run here"),
            Wrong(_from_the_end, "runs furthest ahead"),
            Wrong(_last_first, "first in, first out"),
        ),
    ),
    Exercise(
        id="distributed.interval",
        title="How often to save",
        stub=interval_stub,
        solution=interval,
        check=check_interval,
        hints=(
            "First find how often the whole fails, if each machine fails every `mtbf`.",
            "M = mtbf / machines; the best interval is the root of 2 · save · M",
            "math.sqrt(2 * save * mtbf / machines)",
        ),
        wrong=(
            Wrong(_one_machine, "fail n times as often"),
            Wrong(_fewer_failures, "not less"),
            Wrong(_no_two, "2 under the root"),
            Wrong(_machines_outside, "inside the root"),
        ),
    ),
)
