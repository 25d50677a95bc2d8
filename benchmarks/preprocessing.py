"""A mixture of two languages, scored by training the same Transformer on each.

Every run sees the same number of tales once; only the share of English among them changes, the
rest is Chinese. The score is the excess above the truth in each language, in bits a story, on
unseen tales. Controls: English alone, with no more stories than it has in the mixture.

    python -m benchmarks.preprocessing           runs not yet done, then the result (10 minutes)

One thread. Each run leaves its file in `runs/preprocessing/`; a run that stands there is not
repeated.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

import llmcourse
from llmcourse import evaluate, tales
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.metrics import bits
from llmcourse.tokenizers import TalesTokenizer
from llmcourse.train import StoryBatches, TrainConfig, train

RESULT = Path(llmcourse.__file__).parent / "results" / "preprocessing.json"
FOLDER = Path("runs") / "preprocessing"
SHARES = (0.0, 0.05, 0.2, 0.5, 0.8, 1.0)  # of English


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every run is made with."""

    stories: int = 4000
    batch: int = 16
    lr: float = 8e-3
    width: int = 64
    heads: int = 2
    layers: int = 2
    tests: int = 200
    seeds: int = 1


def run(settings: Settings, share: float, seed: int, *, alone: bool) -> dict[str, float]:
    """Train on one mixture; the excess in each language, in bits a story.

    `alone` leaves the Chinese part out, so that fewer steps are made on the English one.
    """
    words = TalesTokenizer()
    english = round(share * settings.stories)
    counts = {"en": english, "zh": 0 if alone else settings.stories - english}
    rows = [
        words.encode_story(story)
        for language, n in counts.items()
        if n
        for story in tales.generate(seed=seed, n=n, language=language, split="train")
    ]
    batches = StoryBatches(rows, batch=settings.batch, seed=seed)
    form = GPTConfig.modern(
        vocab_size=words.vocab_size,
        context=160,
        width=settings.width,
        heads=settings.heads,
        layers=settings.layers,
    )
    model = GPT(form, seed=seed)
    steps = batches.steps_per_epoch
    train(
        model,
        batches,
        TrainConfig(steps=steps, lr=settings.lr, optimizer="muon", schedule="wsd"),
    )
    out: dict[str, float] = {"parameters": model.parameter_count(), "steps": steps}
    for language in tales.LANGUAGES:
        stories = tales.generate(seed=99, n=settings.tests, language=language, split="test")
        nats = evaluate.story_nats(model.eval(), words, stories)
        gaps = [bits(n.sum() + s.logprob) for n, s in zip(nats, stories, strict=True)]
        out[language] = float(np.mean(gaps))
    return out


def main() -> None:
    torch.set_num_threads(1)
    settings = Settings()
    FOLDER.mkdir(parents=True, exist_ok=True)
    plan = [(share, False) for share in SHARES] + [(share, True) for share in (0.05, 0.2, 0.5)]
    runs = []
    for seed in range(settings.seeds):
        for share, alone in plan:
            file = FOLDER / f"mixture-{share}-{'alone' if alone else 'mixed'}-{seed}.json"
            if not file.exists():
                found = run(settings, share, seed, alone=alone)
                file.write_text(json.dumps(found))
                print(file.stem, found, flush=True)
            runs.append(
                {"share": share, "alone": alone, "seed": seed} | json.loads(file.read_text())
            )
    about = {"command": "python -m benchmarks.preprocessing", "settings": asdict(settings)}
    RESULT.write_text(json.dumps(about | {"mixture": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
