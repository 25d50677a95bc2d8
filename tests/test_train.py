"""The loop learns, resumes to the bit, and says what is wrong."""

import errno
import json
import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from llmcourse import checkpoint, optim
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.train import (
    History,
    LiveCurve,
    StoryBatches,
    TrainConfig,
    TrainingDiverged,
    WindowBatches,
    gradients,
    mean_loss,
    read_log,
    train,
)

IDS = np.random.default_rng(0).integers(0, 20, 300)
BATCHES = WindowBatches(IDS, batch=4, context=8, seed=0)


class Net(nn.Module):
    """A bigram model with dropout: chance inside the model must be repeated, too."""

    def __init__(self, vocab=20, dropout=0.2, seed=0):
        super().__init__()
        self.table = nn.Parameter(
            torch.randn(vocab, vocab, generator=torch.Generator().manual_seed(seed))
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, ids, targets):
        logits = self.drop(self.table[ids])
        return logits, nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def tiny(seed=0, **changes):
    fields = dict(vocab_size=20, context=8, width=16, heads=2, layers=1)
    return GPT(GPTConfig.modern(**(fields | changes)), seed=seed)


def config(**changes):
    return TrainConfig(**(dict(steps=12, lr=0.01, precision="fp32", log_every=1) | changes))


def equal(a, b):
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


# ---- batches ---------------------------------------------------------------------------------


@given(st.integers(5, 60), st.integers(1, 4), st.integers(1, 4), st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_windows_are_the_text_shifted_by_one(length, batch, context, step):
    ids = np.arange(100, 100 + length)
    source = WindowBatches(ids, batch=batch, context=context, seed=1)
    x, y = source(step)
    assert x.shape == y.shape == (batch, context)
    assert torch.equal(y, x + 1) and int(x.min()) >= 100 and int(y.max()) < 100 + length
    again = WindowBatches(ids.tolist(), batch=batch, context=context, seed=1)(step)
    assert torch.equal(x, again[0])


def test_windows_reach_both_ends_and_seeds_differ():
    source = WindowBatches(range(6), batch=64, context=3, seed=0)
    assert set(source(0)[0][:, 0].tolist()) == {0, 1, 2}
    other = WindowBatches(range(6), batch=64, context=3, seed=1)
    assert not torch.equal(source(0)[0], other(0)[0])
    assert not torch.equal(source(0)[0], source(1)[0])


def test_a_text_shorter_than_one_window():
    with pytest.raises(ValueError, match=r"needs 9 tokens .* has 8"):
        WindowBatches(range(8), batch=1, context=8)
    assert WindowBatches(range(9), batch=1, context=8)(0)[1][0, -1] == 8


@given(st.lists(st.integers(2, 9), min_size=1, max_size=40), st.integers(1, 7), st.integers(0, 3))
@settings(max_examples=50, deadline=None)
def test_an_epoch_holds_each_story_once(lengths, batch, epoch):
    stories = [[100 * i + j for j in range(n)] for i, n in enumerate(lengths)]
    source = StoryBatches(stories, batch=batch, seed=2, pad=7)
    seen = []
    for step in range(epoch * source.steps_per_epoch, (epoch + 1) * source.steps_per_epoch):
        x, y = source(step)
        assert bool(((y == -100) <= (x == 7)).all())
        for row_x, row_y in zip(x.tolist(), y.tolist(), strict=True):
            targets = [t for t in row_y if t != -100]
            seen.append([row_x[0], *targets])
            assert row_x[: len(targets)] == [row_x[0], *targets[:-1]]
    assert sorted(seen) == sorted(stories)


def test_epochs_differ_and_steps_repeat():
    stories = [[i, i + 1] for i in range(50)]
    a, b = (StoryBatches(stories, batch=5, seed=0) for _ in range(2))
    assert torch.equal(a(123)[0], b(123)[0])
    assert not torch.equal(a(0)[0], a(a.steps_per_epoch)[0])


def test_stories_of_like_length_meet():
    lengths = np.random.default_rng(0).integers(40, 80, 2000)
    source = StoryBatches([[1] * n for n in lengths], batch=16)
    padded = [float((source(s)[1] == -100).float().mean()) for s in range(50)]
    assert np.mean(padded) < 0.06


@pytest.mark.parametrize("stories, text", [([], "no sequences"), ([[1, 2], [3]], "number 1 has 1")])
def test_stories_that_cannot_be_batched(stories, text):
    with pytest.raises(ValueError, match=text):
        StoryBatches(stories, batch=2)


# ---- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [
    dict(steps=0), dict(lr=0.0), dict(lr=math.inf), dict(warmup=13), dict(schedule="linear"),
    dict(optimizer="sgd"), dict(betas=(0.9, 1.0)), dict(clip=0.0), dict(accumulate=0),
    dict(precision="fp16"), dict(eval_every=-1), dict(keep=0), dict(weight_decay=-0.1),
])  # fmt: skip
def test_settings_name_rule_and_value(bad):
    with pytest.raises(ValueError, match="must") as caught:
        config(**bad)
    assert next(iter(bad)) in str(caught.value)


# ---- learning --------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_overfits_one_batch(optimizer, precision):
    model = tiny(width=32)
    one = BATCHES(0)
    settings_ = config(steps=150, lr=0.02, optimizer=optimizer, precision=precision)
    history = train(model, lambda step: one, settings_, dev=[one])
    # The first loss is that of a guess; the end knows the batch by heart.
    assert history.series("loss")[1][0] == pytest.approx(math.log(20), abs=0.3)
    assert history.last("dev_loss") < 0.5
    assert history.series("lr")[1][-1] == pytest.approx(0.02 * 0.1)


def test_accumulated_gradient_is_the_large_batch_whatever_the_lengths():
    stories = [list(range(2 + i)) for i in range(8)]
    x, y = StoryBatches(stories, batch=8, pad=0)(0)
    parts = [(x[i : i + 2], y[i : i + 2]) for i in range(0, 8, 2)]
    one, many = tiny(context=16).double(), tiny(context=16).double()
    one(x, y)[1].backward()
    mean = gradients(many, parts, lambda: torch.autocast("cpu", enabled=False), "cpu")
    assert mean == pytest.approx(one(x, y)[1].item())
    for p, q in zip(one.parameters(), many.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-9, atol=1e-12)


def test_accumulation_in_the_loop_takes_the_next_batches():
    a, b = tiny(), tiny()

    def joined(step):
        pairs = [BATCHES(2 * step), BATCHES(2 * step + 1)]
        return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])

    train(a, BATCHES, config(accumulate=2))
    train(b, joined, config())
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-3, atol=1e-4)


def test_mean_loss_weighs_by_targets_and_keeps_the_mode():
    stories = [[1, 2], [3, 4, 5, 6, 7], [1, 2, 3]]
    source = StoryBatches(stories, batch=1)
    model = tiny().train()
    split = mean_loss(model, [source(i) for i in range(3)])
    whole = mean_loss(model, [StoryBatches(stories, batch=3)(0)])
    assert split == pytest.approx(whole, rel=1e-5) and model.training
    with pytest.raises(ValueError, match="no targets"):
        mean_loss(model, [])


def test_the_callers_random_numbers_are_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(Net(), BATCHES, config(steps=2))
    assert torch.equal(torch.rand(3), expected)


def test_evaluation_joins_the_log():
    seen = []

    def on_eval(step, model):
        seen.append((step, model.training, torch.is_grad_enabled()))
        return {"twice": 2.0 * step}

    history = train(Net(), BATCHES, config(eval_every=5, log_every=100), BATCHES, on_eval=on_eval)
    assert seen == [(5, False, False), (10, False, False), (12, False, False)]
    assert history.series("twice") == ([5, 10, 12], [10.0, 20.0, 24.0])
    assert history.series("dev_loss")[0] == [5, 10, 12]
    assert history.series("loss")[0] == [1, 5, 10, 12]
    assert history.last("tokens") == 12 * 32
    with pytest.raises(ValueError, match="nothing named"):
        history.last("accuracy")


def test_bf16_falls_back_where_the_hardware_lacks_it(monkeypatch):
    monkeypatch.setattr(optim, "bf16_is_fast", lambda device: False)
    assert train(tiny(), BATCHES, config(steps=1, precision="bf16")).precision == "fp32"


def test_live_curve_draws_only_for_people(monkeypatch):
    curve = LiveCurve(floor=1.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    train(Net(), BATCHES, config(steps=2), on_log=curve)
    assert curve.handle is None


# ---- what goes wrong -------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_divergence_stops_before_the_weights_are_hurt(tmp_path, value, where):
    class Sick(Net):
        calls = 0

        def forward(self, ids, targets):
            logits, loss = super().forward(ids, targets)
            self.calls += 1
            if self.calls == 8:
                if where == "loss":
                    return logits, loss * value
                self.table.register_hook(lambda g: g * value)
            return logits, loss

    model = Sick()
    with pytest.raises(TrainingDiverged, match=r"at step 7 .*step-000006.*smaller lr") as caught:
        train(model, BATCHES, config(checkpoint_every=3), out=tmp_path)
    error = caught.value
    assert error.step == 7 and error.checkpoint == tmp_path / "step-000006"
    assert bool(torch.isfinite(model.table).all())
    good = Net(seed=1)
    checkpoint.load_into(good, tmp_path)
    with pytest.raises(TrainingDiverged, match=r"checkpoint: none"):
        train(Sick(), BATCHES, config())


def test_a_batch_without_targets():
    with pytest.raises(ValueError, match="no targets"):
        train(Net(), lambda s: (BATCHES(0)[0], torch.full((4, 8), -100)), config())


def test_full_disk_stops_clearly_and_the_checkpoint_before_is_whole(tmp_path, monkeypatch):
    real, calls = os.fsync, []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) > 8:  # four files' worth for the first checkpoint, and its folders
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="untouched") as caught:
        train(tiny(), BATCHES, config(checkpoint_every=4), out=tmp_path)
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert sorted(f.name for f in tmp_path.iterdir()) == ["log.jsonl", "step-000004"]
    whole, resumed = tiny(), tiny(1)
    train(whole, BATCHES, config())
    assert train(resumed, BATCHES, config(), out=tmp_path).started_at == 4
    assert equal(whole, resumed)


# ---- going on --------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [Net, tiny])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_resuming_gives_the_same_bits_and_the_same_log(tmp_path, make, optimizer):
    class Stop(Exception):
        pass

    def stop(history):
        if history.records[-1]["step"] == 8:
            raise Stop

    settings_ = config(optimizer=optimizer, checkpoint_every=3, eval_every=4, accumulate=2)
    whole, part = make(seed=0), make(seed=0)
    straight = train(whole, BATCHES, settings_, BATCHES, out=tmp_path / "whole")
    with pytest.raises(Stop):
        train(part, BATCHES, settings_, BATCHES, out=tmp_path / "part", on_log=stop)
    with open(tmp_path / "part" / "log.jsonl", "a") as file:
        file.write('{"step": 9, "lo')  # the line a kill cut short
    part = make(seed=99)  # nothing survives in memory
    resumed = train(part, BATCHES, settings_, BATCHES, out=tmp_path / "part")
    assert resumed.started_at == 6 and equal(whole, part)
    for name in ("loss", "dev_loss", "norm", "lr", "tokens"):
        assert straight.series(name) == resumed.series(name)
    assert read_log(tmp_path / "part") == resumed.records
    last = [(tmp_path / w / "step-000012" / f).read_bytes() for w in ("whole", "part")
            for f in ("model.safetensors", "optimizer.safetensors")]  # fmt: skip
    assert last[:2] == last[2:]
    again = train(part, BATCHES, settings_, out=tmp_path / "part")  # already at the end
    assert again.started_at == 12 and again.records == resumed.records


SCRIPT = """
import sys, time
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
from test_train import BATCHES, config, tiny
from llmcourse.train import train
slow = lambda step: (time.sleep(0.002), BATCHES(step))[1]
train(tiny(), slow, config(steps=60, checkpoint_every=2), out={out!r})
"""


def test_kill_at_any_moment_then_resume(tmp_path):
    """SIGKILL, thrice and at odd moments; the bits at the end are those of a quiet run."""
    quiet = tiny()
    train(quiet, BATCHES, config(steps=60))
    out = tmp_path / "run"
    code = SCRIPT.format(tests=os.path.dirname(__file__), out=str(out))
    for wait in (10, 25, 40):
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            done = [int(f.name[5:]) for f in checkpoint.numbered(out)] if out.exists() else []
            if done and done[-1] >= wait:
                break
            time.sleep(0.001)
        assert process.poll() is None, "it ended, or never began, before it could be killed"
        process.kill() if sys.platform == "win32" else process.send_signal(signal.SIGKILL)
        process.wait()
    resumed = tiny(seed=9)
    history = train(resumed, BATCHES, config(steps=60, checkpoint_every=2), out=out)
    assert 40 <= history.started_at < 60 and equal(quiet, resumed)
    assert [r["step"] for r in history.records] == list(range(1, 61))
    assert not list(out.glob(".*"))


def test_a_run_of_other_settings_is_not_continued(tmp_path):
    train(tiny(), BATCHES, config(), out=tmp_path)
    with pytest.raises(ValueError, match=r"other settings \(lr: 0.01 there, 0.02 here\)"):
        train(tiny(), BATCHES, config(lr=0.02), out=tmp_path)
    with pytest.raises(ValueError, match=r"another configuration.*width"):
        train(tiny(width=32), BATCHES, config(), out=tmp_path)
    # How often to log and save changes no weight.
    train(tiny(), BATCHES, config(log_every=5, keep=1), out=tmp_path)
    fresh = train(tiny(), BATCHES, config(lr=0.02, steps=5), out=tmp_path, resume=False)
    assert fresh.started_at == 0 and len(read_log(tmp_path)) == 5
    assert checkpoint.latest(tmp_path).name == "step-000005"


def test_old_checkpoints_go_and_the_newest_loads_as_a_model(tmp_path):
    model = tiny()
    train(model, BATCHES, config(checkpoint_every=2, keep=3), out=tmp_path)
    assert [f.name for f in checkpoint.numbered(tmp_path)] == [f"step-{s:06d}" for s in (8, 10, 12)]
    assert equal(checkpoint.load(tmp_path), model)
    assert checkpoint.read_extra(tmp_path)["step"] == 12


def test_nothing_pickled_is_written(tmp_path):
    train(tiny(), BATCHES, config(), out=tmp_path)
    suffixes = {f.suffix for f in tmp_path.rglob("*") if f.is_file()}
    assert suffixes == {".safetensors", ".json", ".jsonl"}
    for f in tmp_path.rglob("*.json"):
        json.loads(f.read_text())


def test_history_stands_alone():
    h = History(records=[{"step": 1, "loss": 2.0}, {"step": 2, "dev_loss": 1.0}])
    assert h.series("loss") == ([1], [2.0]) and h.last("dev_loss") == 1.0


# ---- many processes --------------------------------------------------------------------------

PARALLEL = """
import os, sys
sys.path.insert(0, {tests!r})
import torch, torch.distributed as dist
torch.set_num_threads(1)
from test_train import config, tiny
from llmcourse.train import StoryBatches, train
stories = [[i % 20] + [(i + j) % 20 for j in range(1 + i % 7)] for i in range(31)]
# 31 stories in batches of 5: the last batch has one row, so that one process has none.
batches = StoryBatches(stories, batch=5)
model = tiny(seed=int(os.environ.get("RANK", 0)))  # process 0's weights are everybody's
train(model, batches, config(accumulate=2), dev=batches, out={out!r})
if dist.is_initialized():
    dist.destroy_process_group()
"""


def test_two_processes_equal_one(tmp_path):
    outs = [tmp_path / "one", tmp_path / "two"]
    for out, launch in zip(
        outs, ([], ["-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]),
        strict=True,
    ):  # fmt: skip
        file = tmp_path / f"{out.name}.py"
        file.write_text(PARALLEL.format(tests=os.path.dirname(__file__), out=str(out)))
        done = subprocess.run(
            [sys.executable, *launch, str(file)], capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr[-2000:]
    one, two = (checkpoint.load(out) for out in outs)
    for p, q in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-3, atol=1e-4)
    logs = [[(r["step"], r["tokens"]) for r in read_log(out)] for out in outs]
    assert logs[0] == logs[1]
