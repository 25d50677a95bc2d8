"""Checkpoints come back equal, and bad ones are refused in plain words."""

import errno
import json
import os
import pickle
import subprocess
import sys
from dataclasses import asdict, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcourse import checkpoint
from llmcourse.gpt import GPT, GPTConfig

SMALL = dict(vocab_size=40, context=8, width=16, heads=2, layers=1)


def model(seed=0, **changes):
    return GPT(GPTConfig.modern(**(SMALL | changes)), seed=seed)


def same(a, b):
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(p, q) for p, q in pairs)


@pytest.mark.parametrize("form", [GPTConfig.modern, GPTConfig.gpt2_form])
@pytest.mark.parametrize("tied", [True, False])
def test_round_trip(tmp_path, form, tied):
    m = GPT(form(**SMALL, tied=tied), seed=3)
    checkpoint.save(m, tmp_path / "deep" / "down", extra={"词": [1, 2.5, None]})
    back = checkpoint.load(tmp_path / "deep" / "down")
    assert same(m, back) and back.config == m.config and not back.training
    assert checkpoint.read_extra(tmp_path / "deep" / "down") == {"词": [1, 2.5, None]}
    ids = torch.arange(8)[None]
    torch.testing.assert_close(m(ids)[0], back(ids)[0], rtol=0, atol=0)


def test_saving_twice_writes_the_same_bytes():
    assert checkpoint.weights(model()) == checkpoint.weights(model())


@given(st.integers(1, 6), st.integers(1, 6), st.floats(1e-6, 1e4), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_int8_error_is_at_most_half_a_step(rows, columns, size, seed):
    w = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) * size
    w[0] = 0  # a row of zeros has no scale to speak of
    integers, scale = checkpoint.quantize_rows(w)
    error = (checkpoint.dequantize_rows(integers, scale) - w).abs().amax(1)
    assert bool((error <= scale / 2 * (1 + 1e-5)).all())
    torch.testing.assert_close(scale, w.abs().amax(1) / 127)


def test_int8_model_is_a_quarter_in_size_and_close(tmp_path):
    m = model(width=64, zero_outputs=False)
    full = checkpoint.save(m, tmp_path / "full") / "model.safetensors"
    small = checkpoint.save(m, tmp_path / "small", dtype="int8") / "model.safetensors"
    assert small.stat().st_size < 0.35 * full.stat().st_size
    back = checkpoint.load(tmp_path / "small")
    for (name, p), q in zip(m.named_parameters(), back.parameters(), strict=True):
        bound = p.abs().amax(-1, keepdim=True) / 254 * (1 + 1e-5) if p.ndim == 2 else 0.0
        assert bool(((p - q).abs() <= bound).all()), name


def test_bfloat16_is_an_eighth_of_a_percent_off(tmp_path):
    m = model()
    checkpoint.save(m, tmp_path, dtype="bfloat16")
    back = checkpoint.load(tmp_path)
    for p, q in zip(m.parameters(), back.parameters(), strict=True):
        assert q.dtype == torch.float32
        torch.testing.assert_close(p, q, rtol=2**-8, atol=1e-30)


def test_missing_folder_and_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        checkpoint.load(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(FileNotFoundError, match=r"no model\.safetensors .*notes\.txt"):
        checkpoint.load(tmp_path)


@pytest.mark.parametrize("kind", ["text", "pickle", "empty", "cut"])
def test_a_file_that_is_no_checkpoint(tmp_path, kind):
    whole = checkpoint.weights(model())["model.safetensors"]
    bytes_ = {"text": b"once upon a time " * 9, "pickle": pickle.dumps({"a": 1}), "empty": b"",
              "cut": whole[: len(whole) // 2]}[kind]  # fmt: skip
    (tmp_path / "model.safetensors").write_bytes(bytes_)
    with pytest.raises(ValueError, match="is no checkpoint"):
        checkpoint.load(tmp_path)
    with pytest.raises(ValueError, match="is no checkpoint"):
        checkpoint.load(tmp_path / "model.safetensors")


def test_a_pickle_is_never_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    torch.save(Bomb(), tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="Pickled files"):
        checkpoint.load(tmp_path)
    assert not (tmp_path / "exploded").exists()


def test_someone_elses_safetensors(tmp_path):
    import safetensors.torch

    safetensors.torch.save_file({"a": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="not saved by this course"):
        checkpoint.load(tmp_path)


def test_a_checkpoint_of_another_configuration(tmp_path):
    checkpoint.save(model(), tmp_path)
    other = model(1, width=32)
    before = {k: v.clone() for k, v in other.state_dict().items()}
    with pytest.raises(ValueError, match=r"another configuration.*width: model 32, checkpoint 16"):
        checkpoint.load_into(other, tmp_path)
    assert all(torch.equal(v, before[k]) for k, v in other.state_dict().items())


def test_a_setting_younger_than_the_file_had_its_default_then():
    config = GPTConfig(vocab_size=11, context=8, width=16, layers=1)
    written = asdict(config)
    del written["window"]
    assert checkpoint._differences(config, written) == ""
    assert "window" in checkpoint._differences(replace(config, window=4), written)


def test_parts_that_disagree(tmp_path):
    checkpoint.save(model(), tmp_path)
    about = json.loads((tmp_path / "config.json").read_text())
    about["config"]["layers"] = 2
    (tmp_path / "config.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="describes another model"):
        checkpoint.load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="is no JSON"):
        checkpoint.load(tmp_path)
    (tmp_path / "config.json").unlink()  # the weights know their own configuration
    assert same(checkpoint.load(tmp_path), model())


def test_unknown_model_and_unknown_dtype(tmp_path):
    net = torch.nn.Linear(2, 3)
    checkpoint.save(net, tmp_path)
    with pytest.raises(ValueError, match="holds a Linear"):
        checkpoint.load(tmp_path)
    twin = torch.nn.Linear(2, 3)
    checkpoint.load_into(twin, tmp_path)
    assert same(net, twin)
    with pytest.raises(ValueError, match="dtype must be"):
        checkpoint.save(net, tmp_path, dtype="int4")


class FullDisk:
    """`os.fsync` on a disk that is full from the nth call on."""

    def __init__(self, allowed):
        self.left = allowed

    def __call__(self, descriptor):
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("allowed", [0, 2])
def test_full_disk_leaves_the_old_file_whole(tmp_path, monkeypatch, allowed):
    checkpoint.save(model(0), tmp_path, extra={"which": "old"})
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", FullDisk(allowed))
        with pytest.raises(OSError, match="untouched") as caught:
            checkpoint.save(model(1), tmp_path, extra={"which": "new"})
    assert caught.value.errno == errno.ENOSPC
    assert sorted(f.name for f in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    # Each file is whole: the old one, or (once renamed) the new one.
    seed = {"old": 0, "new": 1}[checkpoint.read_extra(tmp_path)["which"]]
    assert seed == (0 if allowed == 0 else 1)
    assert same(checkpoint.load(tmp_path), model(seed))


def test_full_disk_leaves_no_half_folder(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", FullDisk(1))
        with pytest.raises(OSError, match="untouched"):
            checkpoint.write_folder(tmp_path / "step-000001", {"a": b"1", "b": b"2"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_write_the_kernel_refuses(tmp_path):
    checkpoint.save(model(0), tmp_path)
    code = f"""
import resource, signal
from llmcourse import checkpoint
from llmcourse.gpt import GPT, GPTConfig
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    checkpoint.save(GPT(GPTConfig.modern(**{SMALL!r}), seed=1), {str(tmp_path)!r})
except OSError as error:
    print("refused:", error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "refused:" in done.stdout and "untouched" in done.stdout, done.stderr
    assert same(checkpoint.load(tmp_path), model(0))
    assert sorted(f.name for f in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_latest_counts_steps_as_numbers(tmp_path):
    assert checkpoint.latest(tmp_path) is None
    for name in ("step-000900", "step-1000000", ".step-2000000.1.tmp", "step-old"):
        (tmp_path / name).mkdir()
    assert checkpoint.latest(tmp_path).name == "step-1000000"
