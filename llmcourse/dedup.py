"""Near duplicates: shingles, MinHash signatures, and locality-sensitive hashing.

Two texts are near duplicates when their sets of shingles overlap. `jaccard` is exact and compares
one pair; `signatures` estimate it from a few numbers a text; `candidates` finds the pairs that are
worth comparing without looking at all pairs.

    >>> a, b = shingles("the cat sat on the mat"), shingles("the cat sat on the hat")
    >>> jaccard(a, b)
    0.6
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Float, UInt64

__all__ = ["candidates", "estimate", "jaccard", "s_curve", "shingles", "signatures"]


def shingles(text: str, n: int = 3) -> set[str]:
    """The runs of `n` words of a text, lower case; the whole text where it has fewer words.

    Raises:
        ValueError: `n` is less than 1.
    """
    if n < 1:
        raise ValueError(f"a shingle has at least 1 word, got {n}")
    words = text.lower().split()
    if not words:
        return set()
    return {" ".join(words[i : i + n]) for i in range(max(1, len(words) - n + 1))}


def jaccard(a: Collection, b: Collection) -> float:
    """Shared members over all members. Two empty sets are the same: 1."""
    a, b = set(a), set(b)
    return len(a & b) / len(a | b) if a or b else 1.0


def _hashed(members: Collection[str]) -> UInt64[np.ndarray, " M"]:
    # Python's own hash of a string differs from process to process.
    digests = (hashlib.blake2b(m.encode(), digest_size=8).digest() for m in members)
    return np.array([int.from_bytes(d, "little") for d in digests], dtype=np.uint64)


def _mixed(x: UInt64[np.ndarray, "..."]) -> UInt64[np.ndarray, "..."]:
    """SplitMix64's last step: every bit of the input reaches every bit of the output."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def signatures(
    sets: Sequence[Collection[str]], *, hashes: int = 128, seed: int = 0
) -> UInt64[np.ndarray, "N k"]:
    """Row i: the least value that each of `hashes` hash functions takes on set i.

    Two rows agree in one place with probability equal to the sets' Jaccard similarity.
    Broder (1997).

    Raises:
        ValueError: no hash functions are asked for, or a set is empty and has no least value.
    """
    if hashes < 1:
        raise ValueError(f"need at least 1 hash function, got {hashes}")
    salts = np.random.default_rng(seed).integers(0, 2**64, size=hashes, dtype=np.uint64)
    out = np.empty((len(sets), hashes), dtype=np.uint64)
    for i, members in enumerate(sets):
        if not members:
            raise ValueError(f"set {i} is empty: it has no least value; leave such texts out")
        out[i] = _mixed(_hashed(members)[:, None] ^ salts).min(axis=0)
    return out


def estimate(a: UInt64[np.ndarray, " k"], b: UInt64[np.ndarray, " k"]) -> float:
    """Share of places in which two signatures agree: unbiased for the Jaccard similarity J.

    Its variance is J (1 − J) / k.
    """
    return float((a == b).mean())


def candidates(
    rows: UInt64[np.ndarray, "N k"], *, bands: int, per_band: int
) -> set[tuple[int, int]]:
    """Pairs (i, j), i < j, whose signatures agree in all places of at least one band.

    Raises:
        ValueError: the bands need more places than a signature has.
    """
    if bands < 1 or per_band < 1 or bands * per_band > rows.shape[1]:
        raise ValueError(
            f"bands and places in a band must be at least 1, and their product at most "
            f"{rows.shape[1]}, got {bands} and {per_band}"
        )
    found: set[tuple[int, int]] = set()
    for k in range(bands):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        band = np.ascontiguousarray(rows[:, k * per_band : (k + 1) * per_band])
        for i, places in enumerate(band):
            buckets[places.tobytes()].append(i)
        for members in buckets.values():
            found.update(combinations(members, 2))
    return found


def s_curve(
    similarity: Float[np.ndarray, "..."] | float, *, bands: int, per_band: int
) -> Float[np.ndarray, "..."] | float:
    """Probability that a pair of this Jaccard similarity becomes a candidate: 1 − (1 − sʳ)ᵇ."""
    return 1 - (1 - similarity**per_band) ** bands
