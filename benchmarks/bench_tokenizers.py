"""Our BPE beside Hugging Face's Rust library: training and encoding Python's documentation.

    python benchmarks/bench_tokenizers.py

Runs are interleaved, garbage is collected before each and untimed, medians are compared. The
peer gets the text as one string, as a notebook would give it, so its training cannot use threads.
"""

import gc
import statistics
import time
from collections.abc import Callable

import tokenizers

from llmcourse import data
from llmcourse.tokenizers import BPE

VOCAB_SIZE = 1024
ROUNDS = 7


def seconds(work: Callable[[], object]) -> float:
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def train_peer(text: str) -> tokenizers.Tokenizer:
    peer = tokenizers.Tokenizer(tokenizers.models.BPE())
    peer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )
    peer.train_from_iterator([text], trainer)
    return peer


def main() -> None:
    text = data.load("python-docs").text
    ours, peer = BPE.train(text, VOCAB_SIZE), train_peer(text)
    cold = [ours, *(BPE.train(text, VOCAB_SIZE) for _ in range(ROUNDS))]  # nothing remembered yet
    times: dict[str, list[float]] = {}
    for n in range(ROUNDS):
        work = {
            "train, ours": lambda: BPE.train(text, VOCAB_SIZE),
            "train, tokenizers": lambda: train_peer(text),
            "encode, ours, cold": lambda n=n: cold[n + 1].encode(text),
            "encode, ours, warm": lambda n=n: cold[n + 1].encode(text),
            "encode, tokenizers": lambda: peer.encode(text).ids,
        }
        for name, unit in work.items():
            times.setdefault(name, []).append(seconds(unit))
    median = {name: statistics.median(runs) for name, runs in times.items()}
    print(f"{len(text.encode()):,} bytes, vocabulary {VOCAB_SIZE}, medians of {ROUNDS}")
    for name, value in median.items():
        base = median["train, tokenizers" if name.startswith("train") else "encode, tokenizers"]
        print(f"{name:20} {1e3 * value:7.1f} ms   {base / value:.2f} x the peer's speed")


if __name__ == "__main__":
    main()
