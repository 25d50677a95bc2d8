"""Sentiment measured: how many labels each way needs, and where a model must be read.

    python -m benchmarks.sentiment           some fifteen minutes of one core; goes on if killed

Counts of words and word pairs with naive Bayes and logistic regression, and the shipped `tales`
model fine-tuned with a head on the mean of its vectors; the same with the last token's vector, with
LoRA, and from random weights. Each with three seeds. What is kept is each decision on 400 test
stories, in English and (for the models) in Chinese, which no label was given for. Writes
`llmcourse/results/sentiment.json`; the chapter `applications/classification` reads it.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

from llmcourse import checkpoint, lora, models, tales
from llmcourse.classification import LabelBatches, Pooled, expected_right
from llmcourse.gpt import GPT
from llmcourse.train import TrainConfig, train

OUT = Path(__file__).parents[1] / "llmcourse" / "results" / "sentiment.json"
SEEDS, SCORED, WORD = (0, 1, 2), 400, r"\w+|[^\w\s]"
COUNTED = (32, 128, 512, 2048, 8192)  # numbers of labels
RATE, BATCH, STEPS = 1.5e-3, 16, 60
WAYS = {
    "fine-tuned": dict(labels=(512, 128, 32)),
    "last token": dict(labels=(512,), pool="last"),
    "random weights": dict(labels=(512,), fresh=True),
    "LoRA 8": dict(labels=(512,), rank=8, lr=5e-3),
}


def labelled(seed: int, n: int) -> tuple[list[tales.Story], np.ndarray]:
    stories = tales.generate(seed=900 + seed, n=n)
    return stories, np.array([tales.sentiment(s) == "happy" for s in stories])


def test(language: str) -> tuple[list[tales.Story], np.ndarray]:
    stories = tales.generate(seed=77, n=SCORED, language=language, split="test")
    return stories, np.array([tales.sentiment_probability(s) for s in stories])


def counting(pairs: bool, bayes: bool):
    """Counts of words, or of words and pairs, and a linear rule on them."""
    counts = CountVectorizer(ngram_range=(1, 1 + pairs), token_pattern=WORD)
    return make_pipeline(
        counts, MultinomialNB() if bayes else LogisticRegression(C=0.1, max_iter=2000)
    )


def kept(chosen: np.ndarray) -> str:
    return "".join("01"[int(c)] for c in chosen)


def adapted(seed: int, n: int, *, pool="mean", fresh=False, rank=0, lr=RATE) -> dict[str, str]:
    """Train on `n` labelled English stories; every decision in both languages."""
    model, tokenizer = models.load("tales")
    if fresh:
        model = GPT(model.config, seed=seed)
    if rank:
        lora.add(model, lora.LoRAConfig(rank=rank, alpha=float(rank)), seed=seed)
    stories, happy = labelled(seed, n)
    reader = Pooled(model, 2, pool=pool)
    rows = [tokenizer.encode_story(s) for s in stories]
    config = TrainConfig(
        steps=STEPS, lr=lr, weight_decay=0.0, betas=(0.9, 0.999), precision="fp32", seed=seed
    )
    train(reader, LabelBatches(rows, happy, batch=BATCH, seed=seed), config)
    languages = tales.LANGUAGES if n == max(WAYS["fine-tuned"]["labels"]) else ("en",)
    return {
        language: kept(
            reader.predict([tokenizer.encode_story(s) for s in test(language)[0]]).argmax(1)
        )
        for language in languages
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    torch.set_num_threads(1)
    found = json.loads(out.read_text()) if out.is_file() else {}
    asked, p = test("en")

    def save(name: str, value) -> None:
        found[name] = value
        checkpoint.write_file(out, json.dumps(found, indent=0).encode() + b"\n")
        chosen = np.array([c == "1" for c in (value["en"] if isinstance(value, dict) else value)])
        print(name, round(expected_right(chosen, p).mean(), 4), flush=True)

    for seed in SEEDS:
        stories, happy = labelled(seed, max(COUNTED))
        texts = [s.text for s in stories]
        for pairs, bayes in ((False, True), (False, False), (True, True), (True, False)):
            way = f"{'pairs' if pairs else 'words'}, {'Bayes' if bayes else 'logistic'}"
            for n in COUNTED:
                if (name := f"{way} | {n} | {seed}") not in found:
                    fitted = counting(pairs, bayes).fit(texts[:n], happy[:n])
                    save(name, kept(fitted.predict([s.text for s in asked])))
    for seed in SEEDS:
        for way, given in WAYS.items():
            settings = {k: v for k, v in given.items() if k != "labels"}
            for n in given["labels"]:
                if (name := f"{way} | {n} | {seed}") not in found:
                    save(name, adapted(seed, n, **settings))


if __name__ == "__main__":
    main()
