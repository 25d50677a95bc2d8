"""How well found states agree with known tags, when nobody has named the states.

A table counts tokens by found state (rows) and true tag (columns); each score reads it.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from llmcourse.metrics import entropy

__all__ = ["confusion", "many_to_one", "one_to_one", "v_measure"]

MOST_TAGS = 20  # one_to_one tries all subsets of them


def confusion(
    found: Sequence[int] | Int[np.ndarray, " N"],
    true: Sequence[int] | Int[np.ndarray, " N"],
    *,
    states: int,
    tags: int,
) -> Int[np.ndarray, "J G"]:
    """How many tokens have each state and each tag.

    Raises:
        ValueError: no tokens, or states that are not one a tag.
    """
    if not len(true) or len(found) != len(true):
        raise ValueError(f"need one state a tag, got {len(found)} and {len(true)}")
    table = np.zeros((states, tags), dtype=np.int64)
    np.add.at(table, (np.asarray(found), np.asarray(true)), 1)
    return table


def many_to_one(table: Int[np.ndarray, "J G"]) -> Int[np.ndarray, " J"]:
    """The tag of each state: the one it most often stands at. Several states may share a tag."""
    return table.argmax(1)


def one_to_one(table: Int[np.ndarray, "J G"]) -> Int[np.ndarray, " J"]:
    """The tag of each state, no tag twice, for the most tokens right; −1 for a state without one.

    Raises:
        ValueError: more than 20 tags: all their subsets are tried.
    """
    J, G = table.shape
    if G > MOST_TAGS:
        raise ValueError(f"at most {MOST_TAGS} tags can be matched, got {G}")
    # most[m]: tokens right when the states so far use the tags in the bits of m.
    most, chosen, subsets = np.zeros(2**G, dtype=np.int64), [], np.arange(2**G)
    for row in table:
        best, pick = most.copy(), np.full(2**G, -1)
        for tag in range(G):
            has = subsets >> tag & 1 == 1
            value = np.where(has, most[subsets & ~(1 << tag)] + row[tag], -1)
            pick = np.where(value > best, tag, pick)
            best = np.maximum(value, best)
        most = best
        chosen.append(pick)
    mapping, left = np.full(J, -1), 2**G - 1
    for state in reversed(range(J)):
        mapping[state] = chosen[state][left]
        if mapping[state] >= 0:
            left &= ~(1 << int(mapping[state]))
    return mapping


def v_measure(table: Int[np.ndarray, "J G"]) -> Float[np.ndarray, ""] | float:
    """Mutual information of state and tag over the mean of their entropies: 0 nothing, 1 all.

    The harmonic mean of homogeneity and completeness. Rosenberg and Hirschberg (2007).
    """
    p = table / table.sum()
    states, tags, both = (float(entropy(v)) for v in (p.sum(1), p.sum(0), p.ravel()))
    return 1.0 if states + tags == 0 else 2 * (states + tags - both) / (states + tags)
