"""An exercise on memory: what of a talk still fits."""

from llmcourse.exercises.core import Exercise, Wrong, expect, raises

# What of a talk still fits.


def fit_stub(lengths, pinned, room):
    raise NotImplementedError


def fit(lengths, pinned, room):
    last = len(lengths) - 1
    kept = [i for i in range(len(lengths)) if pinned[i] or i == last]
    room = room - sum(lengths[i] for i in kept)
    if room < 0:
        raise ValueError("the newest exchange and the pinned ones do not fit")
    for i in range(last - 1, -1, -1):
        if pinned[i]:
            continue
        if lengths[i] > room:
            break
        kept.append(i)
        room = room - lengths[i]
    return sorted(kept)


def check_fit(answer):
    def case(lengths, pinned, room):
        want, got = fit(lengths, pinned, room), answer(list(lengths), list(pinned), room)
        given = f"lengths {lengths}, pinned {pinned}, room {room}"
        expect(isinstance(got, list), "return a list of numbers of exchanges", got=got)
        expect(
            all(isinstance(i, int) and 0 <= i < len(lengths) for i in got),
            f"{given}: return the exchanges' numbers, not their lengths",
            got=got,
        )
        expect(
            len(lengths) - 1 in got,
            f"{given}: the newest must stay, it is what is asked",
            expected=want,
            got=got,
        )
        expect(
            all(i in got for i in range(len(lengths)) if pinned[i]),
            f"{given}: a pinned one must stay",
            expected=want,
            got=got,
        )
        expect(
            sum(lengths[i] for i in got) <= room,
            f"{given}: more than fits",
            expected=want,
            got=got,
        )
        expect(len(got) == len(set(got)), f"{given}: each of them once", expected=want, got=got)
        free = [i for i in got if not pinned[i]]
        expect(
            all(i in got for i in range(min(free), len(lengths))) if free else True,
            f"{given}: a talk with a hole misleads; stop at the first that does not fit",
            expected=want,
            got=got,
        )
        expect(
            set(got) == set(want),
            f"{given}: keep as many of the newest as fit",
            expected=want,
            got=got,
        )
        expect(
            got == want, f"{given}: in the order in which they were said", expected=want, got=got
        )

    no = [False] * 5
    case([3, 4, 2, 5, 1], no, 15)
    case([3, 4, 2, 5, 1], no, 14)
    case([3, 4, 2, 5, 1], no, 40)
    case([3, 4, 2, 5, 1], [False, False, True, False, False], 40)
    case([3, 4, 2, 5, 1], no, 8)
    case([1, 9, 2, 2, 2], no, 8)  # a hole would leave room for the oldest
    case([5, 4, 2, 5, 1], [True, *no[1:]], 13)
    case([5, 4, 2, 5, 1], [False, True, False, False, False], 12)
    case([2, 2, 2, 2, 2], no, 2)
    case([4], [False], 4)
    raises(
        ValueError,
        lambda: answer([9], [False], 8),
        "a newest exchange that does not fit must be refused, not dropped",
    )
    raises(
        ValueError,
        lambda: answer([5, 1, 4], [True, False, False], 8),
        "the newest and the pinned do not fit together: say so, and forget neither",
    )


def _from_the_front(lengths, pinned, room):
    kept, used = [], 0
    for i, length in enumerate(lengths):
        if used + length > room:
            break
        kept.append(i)
        used += length
    return kept


def _with_holes(lengths, pinned, room):
    last = len(lengths) - 1
    kept = [i for i in range(len(lengths)) if pinned[i] or i == last]
    room -= sum(lengths[i] for i in kept)
    if room < 0:
        raise ValueError("too long")
    for i in reversed(range(last)):
        if not pinned[i] and lengths[i] <= room:
            kept.append(i)
            room -= lengths[i]
    return sorted(kept)


def _forgets_pins(lengths, pinned, room):
    return fit(lengths, [False] * len(lengths), room)


def _newest_first(lengths, pinned, room):
    return fit(lengths, pinned, room)[::-1]


def _drops_the_newest(lengths, pinned, room):
    try:
        return fit(lengths, pinned, room)
    except ValueError:
        return []


EXERCISES = (
    Exercise(
        id="chatbot.fit",
        title="What still fits",
        stub=fit_stub,
        solution=fit,
        check=check_fit,
        hints=(
            "Two kinds must stay. What is left of the room goes to the newest of the others.",
            "Take the pinned ones and the last; if they are too long, raise. Walk back from the "
            "last but one, skip the pinned, and stop at the first that does not fit.",
            "`for i in range(last - 1, -1, -1)`: `break`, not `continue`, at one that is too long. "
            "Return `sorted(kept)`.",
        ),
        wrong=(
            Wrong(_from_the_front, "the newest must stay"),
            Wrong(_with_holes, "with a hole"),
            Wrong(_forgets_pins, "pinned one must stay"),
            Wrong(_newest_first, "in the order"),
            Wrong(_drops_the_newest, "refused, not dropped"),
        ),
    ),
)
