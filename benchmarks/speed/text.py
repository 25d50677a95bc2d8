"""Rows of the table about text: byte-pair encoding and n-grams."""

from collections.abc import Iterator
from functools import partial

import tiktoken
import tokenizers
from nltk.lm import KneserNeyInterpolated
from nltk.util import everygrams

from benchmarks.speed.harness import Row, Unit, compare
from llmcourse import data
from llmcourse.ngram import NGram
from llmcourse.tokenizers import BPE
from llmcourse.tokenizers.bpe import GPT2_PATTERN

ORDER = 3


def train_rust(text: str, vocab_size: int) -> tokenizers.Tokenizer:
    """Hugging Face's trainer, given one string as a notebook would give it."""
    peer = tokenizers.Tokenizer(tokenizers.models.BPE())
    peer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size,
        show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )
    peer.train_from_iterator([text], trainer)
    return peer


def same_splits(ours: BPE, peer: tokenizers.Tokenizer, text: str) -> bool:
    """Whether both cut a text at the same places."""
    spans = [b - a for a, b in peer.encode(text).offsets]
    return spans == [len(ours.token_bytes(i).decode("latin-1")) for i in ours.encode(text)]


def once_each(made: Iterator[BPE], text: str) -> Unit:
    """A unit that takes a fresh tokenizer each time: nothing is remembered."""
    return lambda: next(made).encode(text)


def tokenization(rounds: int = 7) -> Iterator[Row]:
    text = data.load("python-docs").text
    for vocab_size, goal in ((1024, 1.3), (4096, 1.1)):
        yield compare(
            f"BPE training, vocabulary {vocab_size}",
            "tokenizers (Rust)",
            partial(BPE.train, text, vocab_size),
            partial(train_rust, text, vocab_size),
            goal=goal,
            rounds=rounds,
        )
    ours, rust = BPE.train(text, 1024), train_rust(text, 1024)
    ranks = {ours.token_bytes(i): i for i in range(ours.vocab_size)}
    openai = tiktoken.Encoding(
        "ours", pat_str=GPT2_PATTERN, mergeable_ranks=ranks, special_tokens={}
    )
    if openai.encode_ordinary(text) != ours.encode(text):
        raise AssertionError("tiktoken gives other ids for our merges: the row would mean nothing")
    peers: tuple[tuple[str, Unit, float, float], ...] = (
        ("tokenizers (Rust)", lambda: rust.encode(text).ids, 2.0, 2.0),
        ("tiktoken (Rust)", lambda: openai.encode_ordinary(text), 0.3, 0.6),
    )
    for peer, unit, cold, warm in peers:
        # Each round encodes twice with a tokenizer that has seen nothing.
        fresh = [BPE(ours._tokens, ours.merges) for _ in range(2 * rounds + 2)]
        yield compare(
            "BPE encoding, cold", peer, once_each(iter(fresh), text), unit, goal=cold, rounds=rounds
        )
        yield compare(
            "BPE encoding, warm", peer, lambda: ours.encode(text), unit, goal=warm, rounds=rounds
        )


def counting(rounds: int = 5, words: int = 40_000, scored: int = 5_000) -> Iterator[Row]:
    """Interpolated Kneser-Ney of order 3 on words, fitted and scored."""
    tokens = data.load("python-docs").text.split()[: words + scored]
    if len(tokens) < words + scored:
        raise ValueError(f"the corpus must have {words + scored} words, got {len(tokens)}")
    index = {word: i for i, word in enumerate(dict.fromkeys(tokens))}
    ids = [index[word] for word in tokens]
    train, test = ids[:words], ids[words:]
    listed = list(map(str, train))

    def fit_nltk() -> KneserNeyInterpolated:
        model = KneserNeyInterpolated(ORDER)
        model.fit([everygrams(listed, max_len=ORDER)], vocabulary_text=listed)
        return model

    def fit_ours() -> NGram:
        return NGram(order=ORDER, vocab=len(index)).fit(train)

    yield compare(
        f"Kneser-Ney of order {ORDER}, fit {words:,} words", "nltk", fit_ours, fit_nltk,
        goal=3.0, rounds=rounds,
    )  # fmt: skip
    theirs, ours = fit_nltk(), fit_ours()
    grams = [tuple(map(str, test[i - ORDER + 1 : i + 1])) for i in range(ORDER - 1, len(test))]

    def score_nltk() -> list[float]:
        return [theirs.score(gram[-1], gram[:-1]) for gram in grams[:20]]

    def score_ours() -> object:
        return ours.token_nats(test)

    row = compare("", "nltk", score_ours, score_nltk, goal=1000.0, rounds=rounds)
    # nltk is asked for twenty words alone, or the bench would take an hour.
    share = len(test) / 20
    yield Row(
        work=f"Kneser-Ney of order {ORDER}, score a word",
        peer="nltk",
        ratio=row.ratio * share,
        goal=1000.0,
        noise=row.noise,
        note=f"{len(test)} words by us, 20 by nltk in a round",
    )
