"""Exercises of the chapter `practice/gpt2`."""

import torch

from llmcourse.exercises.core import Exercise, Wrong, close, expect

# One block's weights, from GPT-2's names and layout to ours.


def to_ours_stub(theirs):
    raise NotImplementedError


def to_ours(theirs):
    names = {
        "ln_1": "norm1",
        "attn.c_attn": "attention.qkv",
        "attn.c_proj": "attention.o",
        "ln_2": "norm2",
        "mlp.c_fc": "mlp.up",
        "mlp.c_proj": "mlp.down",
    }
    ours = {}
    for name, tensor in theirs.items():
        part, _, kind = name.rpartition(".")
        ours[f"{names[part]}.{kind}"] = tensor.T if tensor.ndim == 2 else tensor
    return ours


def _block(D, M, seed):
    chance = torch.Generator().manual_seed(seed)
    sizes = {
        "ln_1": (D,),
        "attn.c_attn": (D, 3 * D),
        "attn.c_proj": (D, D),
        "ln_2": (D,),
        "mlp.c_fc": (D, M),
        "mlp.c_proj": (M, D),
    }
    theirs = {}
    for name, size in sizes.items():
        theirs[f"{name}.weight"] = torch.randn(size, generator=chance)
        theirs[f"{name}.bias"] = torch.randn(size[-1], generator=chance)
    return theirs


def check_to_ours(answer):
    for D, M in ((4, 10), (6, 6)):
        theirs = _block(D, M, seed=D)
        got = answer({name: tensor.clone() for name, tensor in theirs.items()})
        expect(isinstance(got, dict), "return a dictionary from our names to tensors", got=got)
        want = to_ours(theirs)
        lost = sorted(set(want) - set(got))
        expect(not lost, f"there is no tensor under our name {lost[:1]}; all of {sorted(want)}")
        extra = sorted(set(got) - set(want))
        expect(not extra, f"our block has no parameter {extra[:1]}")
        for name, tensor in want.items():
            suspects = {}
            if tensor.ndim == 2:
                kept = f"{name} is still as GPT-2 keeps it, (in, out): our matrices are (out, in)"
                if tensor.shape[0] == tensor.shape[1]:
                    kept += "; this one is square, so no shape complains"
                suspects[kept] = tensor.T
            for other in want:
                if other != name and want[other].shape == tensor.shape:
                    suspects[f"{name} holds what belongs to {other}"] = want[other]
            close(got[name], tensor, f"{name} is not its tensor of GPT-2", suspects=suspects)


def _no_transpose(theirs):
    return {name: t.T if t.ndim == 2 else t for name, t in to_ours(theirs).items()}


def _square_forgotten(theirs):
    ours = to_ours(theirs)
    return ours | {"attention.o.weight": ours["attention.o.weight"].T}


def _norms_exchanged(theirs):
    ours = to_ours(theirs)
    return ours | {"norm1.weight": ours["norm2.weight"], "norm2.weight": ours["norm1.weight"]}


def _no_biases(theirs):
    return {name: t for name, t in to_ours(theirs).items() if name.endswith("weight")}


# The article's line, mended: another id as each row's last.


def replace_last_stub(ids, new):
    raise NotImplementedError


def replace_last(ids, new):
    out = ids.clone()
    out[:, -1] = new
    return out


def check_replace_last(answer):
    cases = (
        (torch.tensor([[5, 6, 7, 8]]), 3),
        (torch.tensor([[1, 2, 3], [4, 5, 6]]), 9),
        (torch.tensor([[4, 2], [7, 7], [1, 0]]), 0),
    )
    for ids, new in cases:
        want = replace_last(ids, new)
        row, rows, first, shifted = (ids.clone() for _ in range(4))
        row[-1] = new
        rows[-1, -1] = new
        first[:, 0] = new
        shifted = torch.cat([ids, torch.full((len(ids), 1), new)], dim=1)
        close(
            answer(ids.clone(), new), want, "only each row's last id should change",
            suspects={
                "`ids[-1]` is the last row: every token of that text was written over": row,
                "only the last row was changed; every row has a last token": rows,
                "the ids run along axis 1 and the last is at −1; this changed the first": first,
                "this appends an id; the last one should be replaced": shifted,
            },
        )  # fmt: skip


def _whole_row(ids, new):
    out = ids.clone()
    out[-1] = new
    return out


def _one_row(ids, new):
    out = ids.clone()
    out[-1, -1] = new
    return out


def _appended(ids, new):
    return torch.cat([ids, torch.full((len(ids), 1), new)], dim=1)


def _first(ids, new):
    out = ids.clone()
    out[:, 0] = new
    return out


# Position ids for padded rows.


def positions_stub(mask):
    raise NotImplementedError


def positions(mask):
    return (mask.cumsum(dim=1) - 1).clamp(min=0)


def check_positions(answer):
    cases = (
        [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]],
        [[1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 0, 1]],
    )
    for rows in cases:
        mask = torch.tensor(rows)
        got = answer(mask.clone())
        expect(isinstance(got, torch.Tensor), "return a tensor of position ids", got=got)
        expect(
            got.shape == mask.shape,
            f"the shape should be that of the mask, {tuple(mask.shape)}, got {tuple(got.shape)}",
        )
        want = positions(mask)
        real = mask.bool()
        along = torch.arange(mask.shape[1]).expand_as(mask)
        suspects = {
            "these count places in the row; the first real token of each text is at position 0": (
                along
            ),
            "positions begin with 0: a cumulative sum of ones begins with 1": want + 1,
            "the sum runs down the batch (axis 0); each text counts for itself, along axis 1": (
                mask.cumsum(0) - 1
            ),
        }
        for diagnosis, value in suspects.items():
            same = got[real].tolist() == value[real].tolist()
            expect(
                not same or value[real].tolist() == want[real].tolist(),
                diagnosis, expected=want, got=got,
            )  # fmt: skip
        close(got[real], want[real], "the real tokens of each row should count 0, 1, 2, …")
        expect(
            bool(((got >= 0) & (got < mask.shape[1])).all()),
            "padding needs a row of the position table, too (any will do): −1 is none",
            expected=want, got=got,
        )  # fmt: skip


def _places(mask):
    return torch.arange(mask.shape[1]).expand_as(mask).clone()


def _from_one(mask):
    return mask.cumsum(dim=1)


def _below_zero(mask):
    return mask.cumsum(dim=1) - 1


def _down(mask):
    return (mask.cumsum(dim=0) - 1).clamp(min=0)


# Pairs that a band leaves.


def banded_pairs_stub(T, window):
    raise NotImplementedError


def banded_pairs(T, window):
    return sum(min(t + 1, window) for t in range(T))


def check_banded_pairs(answer):
    for T, window in ((7, 3), (10, 4), (5, 1), (4, 9), (12, 12)):
        want = banded_pairs(T, window)
        close(
            answer(T, window), want, f"T = {T}, window = {window}: count query by query",
            suspects={
                "the first queries have fewer keys than the window is wide": T * window,
                "this is the dense count, T (T + 1) / 2: the window does not enter": (
                    T * (T + 1) // 2
                ),
                "a query sees itself, too: it is one of the keys of its window": (
                    sum(min(t - 1, window) for t in range(1, T + 1))
                ),
                "the window counts the query itself; this sees one key more": (
                    sum(min(t, window + 1) for t in range(1, T + 1))
                ),
                "attention is causal: the band has no keys to the right of the query": sum(
                    min(t, window) + min(T - t, window - 1) for t in range(1, T + 1)
                ),
            },
        )  # fmt: skip


def _rectangle(T, window):
    return T * window


def _dense(T, window):
    return T * (T + 1) // 2


def _without_self(T, window):
    return sum(min(t - 1, window) for t in range(1, T + 1))


def _one_more(T, window):
    return sum(min(t, window + 1) for t in range(1, T + 1))


def _both_sides(T, window):
    return sum(min(t, window) + min(T - t, window - 1) for t in range(1, T + 1))


EXERCISES = (
    Exercise(
        id="gpt2.to_ours",
        title="A block of GPT-2, in our names",
        stub=to_ours_stub,
        solution=to_ours,
        check=check_to_ours,
        hints=(
            "Two things differ: the names, and the layout of some tensors. Which tensors have two "
            "axes?",
            "A dictionary from their six parts to ours. For each tensor split its name at the last "
            "dot, look the part up, and turn the tensor round if it is a matrix.",
            '`part, _, kind = name.rpartition(".")`, then `ours[f"{names[part]}.{kind}"]` is '
            "`tensor.T` where `tensor.ndim == 2`, else `tensor`.",
        ),
        wrong=(
            Wrong(_no_transpose, "as GPT-2 keeps it, (in, out)"),
            Wrong(_square_forgotten, "this one is square"),
            Wrong(_norms_exchanged, "norm1.weight holds what belongs to norm2.weight"),
            Wrong(_no_biases, "no tensor under our name"),
        ),
    ),
    Exercise(
        id="gpt2.replace_last",
        title="The article's line, mended",
        stub=replace_last_stub,
        solution=replace_last,
        check=check_replace_last,
        hints=(
            "The ids have two axes: texts, then tokens. Which one does `[-1]` index?",
            "Copy the ids; in the copy, take all rows and their last column.",
            "`out = ids.clone()`, then `out[:, -1] = new`.",
        ),
        wrong=(
            Wrong(_whole_row, "is the last row"),
            Wrong(_one_row, "every row has a last token"),
            Wrong(_appended, "this appends"),
            Wrong(_first, "changed the first"),
        ),
    ),
    Exercise(
        id="gpt2.positions",
        title="Positions for padded texts",
        stub=positions_stub,
        solution=positions,
        check=check_positions,
        hints=(
            "The position of a token is the number of real tokens before it in its own row.",
            "A running sum of the mask counts the real tokens up to and with each place. Take one "
            "off, and let nothing be below 0.",
            "`mask.cumsum(dim=1) - 1`, then `.clamp(min=0)`.",
        ),
        wrong=(
            Wrong(_places, "places in the row"),
            Wrong(_from_one, "positions begin with 0"),
            Wrong(_below_zero, "−1 is none"),
            Wrong(_down, "down the batch"),
        ),
    ),
    Exercise(
        id="gpt2.banded_pairs",
        title="The pairs of a band",
        stub=banded_pairs_stub,
        solution=banded_pairs,
        check=check_banded_pairs,
        hints=(
            "How many keys does the first query see? The second? From which query on is the "
            "number the same?",
            "Query number t (from 0) sees t + 1 keys, but no more than the window. Add up.",
            "`sum(min(t + 1, window) for t in range(T))`.",
        ),
        wrong=(
            Wrong(_rectangle, "fewer keys than the window"),
            Wrong(_dense, "the dense count"),
            Wrong(_without_self, "a query sees itself"),
            Wrong(_one_more, "one key more"),
            Wrong(_both_sides, "no keys to the right"),
        ),
    ),
)
