"""Exercises on many experts and many users."""

import torch

from llmcourse.exercises.core import Exercise, Wrong, close, expect

# The balance of a mixture.


def balance_stub(probabilities, chosen):
    raise NotImplementedError


def balance(probabilities, chosen):
    experts = probabilities.shape[1]
    share = chosen.flatten().bincount(minlength=experts) / chosen.numel()
    return experts * (share * probabilities.mean(dim=0)).sum()


def check_balance(answer):
    generator = torch.Generator().manual_seed(0)
    for tokens, experts, active in ((9, 4, 2), (12, 6, 1)):
        logits = 2 * torch.randn(tokens, experts, generator=generator, dtype=torch.float64)
        logits[:, -1] -= 30  # the last is never chosen
        p = logits.softmax(-1).requires_grad_()
        chosen = p.detach().topk(active).indices
        count = chosen.flatten().bincount(minlength=experts)
        share, mean = count / chosen.numel(), p.detach().mean(0)
        suspects = {
            "E times the sum: 1 where all are equally busy": (share * mean).sum(),
            "f is a share of the choices: they sum to 1": experts * (count * mean).sum(),
            "P is the mean over tokens, not the sum": experts * (share * mean).sum() * tokens,
            "f comes from the choices, P from the probabilities: this is P twice": (
                experts * (mean * mean).sum()
            ),
            "this is f twice: it has no gradient": experts * (share * share).sum(),
            "each token chooses several experts: divide by all choices, not by tokens": (
                experts * (share * mean).sum() * active
            ),
        }
        if active == 1:
            suspects.popitem()
        got = answer(p, chosen)
        close(got, balance(p, chosen), "E · Σ f · P", suspects=suspects)
        expect(
            torch.is_tensor(got) and got.requires_grad,
            "the loss must have a gradient to the probabilities: keep P a tensor",
            got=got,
        )


def _unscaled(probabilities, chosen):
    return balance(probabilities, chosen) / probabilities.shape[1]


def _soft_only(probabilities, chosen):
    mean = probabilities.mean(dim=0)
    return probabilities.shape[1] * (mean * mean).sum()


def _hard_only(probabilities, chosen):
    share = chosen.flatten().bincount(minlength=probabilities.shape[1]) / chosen.numel()
    return probabilities.shape[1] * (share * share).sum()


def _detached(probabilities, chosen):
    return balance(probabilities.detach(), chosen)


# Pages.


def pages_stub(table, used, new, free, block):
    raise NotImplementedError


def pages(table, used, new, free, block):
    more = -(-(used + new) // block) - len(table)
    if more > len(free):
        return None
    grown = [*table, *free[:more]]
    places = [(grown[t // block], t % block) for t in range(used, used + new)]
    return grown, places


def check_pages(answer):
    def case(table, used, new, free, block):
        want = pages(table, used, new, free, block)
        got = answer(list(table), used, new, list(free), block)
        if want is None:
            expect(
                got is None,
                "too few free pages: return None, and take none",
                expected=None,
                got=got,
            )
            return
        expect(
            got is not None,
            "there are pages enough: positions fill what is left of the last page first",
            expected=want,
            got=got,
        )
        expect(
            isinstance(got, tuple | list) and len(got) == 2,
            "return (table, places), or None",
            got=got,
        )
        grown, places = list(got[0]), [tuple(place) for place in got[1]]
        fresh = list(table) + list(free[: -(-new // block)])
        extra = list(table) + list(free[: (used + new) // block + 1 - len(table)])
        expect(
            grown != extra or extra == want[0],
            "a page that is exactly full needs no page after it yet",
            expected=want[0],
            got=grown,
        )
        expect(
            grown != fresh or fresh == want[0],
            "the last page has room: take a new page only for what does not fit",
            expected=want[0],
            got=grown,
        )
        expect(
            grown == want[0],
            "the table keeps its pages in order, and takes the first of the free ones",
            expected=want[0],
            got=grown,
        )
        naive = [(t // block, t % block) for t in range(used, used + new)]
        expect(
            places != naive or naive == want[1],
            "a place names the page that the table gives: not its number in the sequence",
            expected=want[1],
            got=places,
        )
        expect(
            places == want[1],
            "position t lies in page table[t // block], row t % block; one place for each new one",
            expected=want[1],
            got=places,
        )

    case([5, 2], 6, 1, [7, 0], 4)
    case([5, 2], 6, 2, [7, 0], 4)
    case([5, 2], 6, 4, [7, 0], 4)
    case([], 0, 5, [3, 1, 2], 2)
    case([4], 3, 6, [9], 4)
    case([4], 3, 0, [9], 4)
    case([4], 4, 1, [], 4)
    case([4], 3, 5, [9], 4)


def _fresh_pages(table, used, new, free, block):
    more = -(-new // block)
    if more > len(free):
        return None
    grown = [*table, *free[:more]]
    return grown, [(grown[t // block], t % block) for t in range(used, used + new)]


def _one_too_many(table, used, new, free, block):
    more = (used + new) // block + 1 - len(table)
    if more > len(free):
        return None
    grown = [*table, *free[:more]]
    return grown, [(grown[t // block], t % block) for t in range(used, used + new)]


def _logical(table, used, new, free, block):
    found = pages(table, used, new, free, block)
    if found is None:
        return None
    return found[0], [(t // block, t % block) for t in range(used, used + new)]


def _takes_what_there_is(table, used, new, free, block):
    more = -(-(used + new) // block) - len(table)
    grown = [*table, *free[:more]]
    end = min(used + new, len(grown) * block)
    return grown, [(grown[t // block], t % block) for t in range(used, end)]


EXERCISES = (
    Exercise(
        id="efficiency.balance",
        title="The balance of a mixture",
        stub=balance_stub,
        solution=balance,
        check=check_balance,
        hints=(
            "Two numbers an expert: how often it was chosen, and how probable it was on average.",
            "The shares f sum to 1 and the means P sum to 1. E · Σ f P is 1 where all are equal.",
            "`chosen.flatten().bincount(minlength=E) / chosen.numel()` is f.",
        ),
        wrong=(
            Wrong(_unscaled, "E times the sum"),
            Wrong(_soft_only, "P twice"),
            Wrong(_hard_only, "f twice"),
            Wrong(_detached, "gradient"),
        ),
    ),
    Exercise(
        id="efficiency.pages",
        title="Pages for new positions",
        stub=pages_stub,
        solution=pages,
        check=check_pages,
        hints=(
            "How many pages do used + new positions fill, and how many are there already?",
            "Take the first of the free pages for the difference, or None where there are too few. "
            "Then position t lies in page t // block of the table.",
            "`more = math.ceil((used + new) / block) - len(table)`; places are "
            "`(grown[t // block], t % block)`.",
        ),
        wrong=(
            Wrong(_fresh_pages, "the last page has room"),
            Wrong(_one_too_many, "exactly full"),
            Wrong(_logical, "number in the sequence"),
            Wrong(_takes_what_there_is, "too few free pages"),
        ),
    ),
)
