"""`llmcourse finetune FILE`: what it makes, that it resumes, and what it refuses in one line."""

import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from llmcourse import adapt, checkpoint, hf, lora
from llmcourse.cli import main
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.tokenizers import BPE, TalesTokenizer
from llmcourse.train import TrainingDiverged

ROWS = [{"prompt": f"say {n}", "answer": f"{n} {n}"} for n in range(40)]
SMALL = dict(context=48, width=16, layers=1, heads=2)
QUICK = ("--steps", "4", "--rank", "2")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A tiny model in Hugging Face's files, and one in the course's."""
    home = tmp_path_factory.mktemp("models")
    bpe = BPE.train("say 0123456789 " * 20, vocab_size=268, special_tokens=[hf.END])
    theirs = GPT(GPTConfig.gpt2_form(vocab_size=bpe.vocab_size, **SMALL), seed=0)
    hf.save(theirs, home / "theirs", bpe)
    words = TalesTokenizer()
    ours = GPT(GPTConfig.modern(vocab_size=words.vocab_size, **SMALL), seed=0)
    checkpoint.save(ours, home / "ours")
    words.save(home / "ours" / "tokenizer.json")
    return home


@pytest.fixture
def theirs(folders):
    return folders / "theirs"


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def mine(elsewhere):
    return write(elsewhere / "mine.jsonl", ROWS)


def tune(*arguments):
    return main(["finetune", *map(str, arguments)])


def refused(capsys, *arguments) -> str:
    """The one sentence that bad input gets; nothing is left behind."""
    before = sorted(os.listdir())
    assert tune(*arguments) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said and said.startswith("llmcourse: "), said
    assert sorted(os.listdir()) == before
    return said


# what it makes


def test_the_report_has_both_scores_and_the_adapter_answers(mine, theirs, capsys):
    assert tune(mine, "--model", theirs, "--out", "made", *QUICK) == 0
    report = json.loads(open("made/report.json").read())
    for when in ("before", "after", "change"):
        for name in ("bits per byte", "exact match"):
            low, middle, high = report["test"][when][name]
            assert low <= middle <= high
    assert report["records"] == {"train": 28, "dev": 4, "test": 8}
    trained, whole = report["parameters"]["trained"], report["parameters"]["all"]
    assert 0 < trained < whole
    assert sorted(os.listdir("made")) == [
        "README.md", "adapter.json", "adapter.safetensors", "report.json", "task.json",
    ]  # fmt: skip
    assert "exact match" in open("made/README.md").read()
    capsys.readouterr()
    assert main(["sample", "--adapter", "made", "--prompt", "say 7"]) == 0
    said = capsys.readouterr().out
    assert main(["sample", "--adapter", "made", "--prompt", "say 7"]) == 0
    assert capsys.readouterr().out == said  # greedy


def test_what_is_loaded_is_what_was_scored(mine, theirs):
    base = adapt.open_base(theirs)
    parts = adapt.split(adapt.read(mine), seed=0)
    config = adapt.AdaptConfig(rank=2, steps=3, batch=4, lr=0.05)
    report = adapt.run(base, parts, config, out="made")
    loaded, again = adapt.load("made")
    assert again == report
    ids = torch.arange(20)[None]
    torch.testing.assert_close(loaded.model(ids)[0], base.model(ids)[0])
    score = adapt.score(loaded.model, loaded.template, parts.test)
    assert score.per_byte.estimate == pytest.approx(report["test"]["after"]["bits per byte"][1])
    assert score.per_byte.estimate < report["test"]["before"]["bits per byte"][1]


def test_full_fine_tuning_leaves_a_model(mine, folders):
    assert tune(mine, "--model", folders / "ours", "--full", "--steps", 2, "--out", "made") == 0
    loaded, report = adapt.load("made")
    assert report["parameters"]["trained"] == report["parameters"]["all"]
    assert not lora.adapters(loaded.model)
    was = adapt.open_base(folders / "ours")
    assert loaded.sha256 != was.sha256


def test_plain_text_is_learned_whole(elsewhere, theirs):
    (elsewhere / "notes.txt").write_text("\n\n".join(f"say {n}\nand {n}" for n in range(30)))
    assert tune("notes.txt", "--model", theirs, "--out", "made", *QUICK) == 0
    report = json.loads(open("made/report.json").read())
    assert report["test"]["after"]["exact match"] is None
    assert sum(report["records"].values()) == 30


def test_the_loss_is_on_the_answers_alone(theirs):
    base = adapt.open_base(theirs)
    record = adapt.Record(prompt="say 7", answer="7 7", line=1)
    ids, learned = base.template.row(record)
    told = [i for i, mark in zip(ids, learned, strict=True) if mark]
    assert base.tokenizer.decode(told[:-1]) == "7 7" and told[-1] == base.template.stop
    assert base.tokenizer.decode(ids[1 : len(ids) - len(told)]) == "say 7\n"


def test_a_prompt_changed_is_another_loss_but_no_target(theirs):
    """The prompt is read: it moves the answer's surprise; and it has no surprise of its own."""
    base = adapt.open_base(theirs)
    one, two = (
        adapt.score(base.model, base.template, [adapt.Record(prompt=p, answer="7 7", line=1)] * 2)
        for p in ("say 7", "say 8 say 8")
    )
    assert one.bits[0] != two.bits[0]
    assert one.sizes[0] == two.sizes[0] == 4


# the split


@pytest.mark.parametrize("seed", range(5))
def test_no_prompt_stands_on_two_sides(seed):
    chance = np.random.default_rng(seed)
    found = [
        adapt.Record(prompt=f"{'Say' if n % 2 else 'say'}  {k}", answer=str(n), line=n)
        for n, k in enumerate(chance.integers(0, 30, 200))
    ]
    parts = adapt.split(found, seed=seed)
    keys = [{r.key for r in part} for part in (parts.train, parts.dev, parts.test)]
    assert not (keys[0] & keys[1] or keys[0] & keys[2] or keys[1] & keys[2])
    assert len(parts.test) == len(keys[2])  # a copy is no further evidence
    assert parts == adapt.split(found, seed=seed) != adapt.split(found, seed=seed + 1)


def test_the_split_does_not_depend_on_the_files_order():
    found = [adapt.Record(prompt=f"say {n}", answer="a", line=n) for n in range(40)]
    one, two = adapt.split(found), adapt.split(found[::-1])
    assert {r.prompt for r in one.test} == {r.prompt for r in two.test}


# going on


def test_a_killed_run_goes_on_to_the_same_bits(mine, theirs, monkeypatch):
    config = adapt.AdaptConfig(rank=2, steps=20, batch=4)
    parts = adapt.split(adapt.read(mine), seed=0)
    adapt.run(adapt.open_base(theirs), parts, config, out="whole")

    def pull_the_plug(history):
        if history.records[-1]["step"] == 13 or history.records[-1]["step"] == 14:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adapt.run(adapt.open_base(theirs), parts, config, out="cut", on_log=pull_the_plug)
    assert not os.path.exists("cut/report.json")
    adapt.run(adapt.open_base(theirs), parts, config, out="cut")
    for name in ("adapter.safetensors", "report.json"):
        assert open(f"whole/{name}", "rb").read() == open(f"cut/{name}", "rb").read()


def test_kill_dash_nine(mine, theirs):
    command = [sys.executable, "-m", "llmcourse", "finetune", str(mine), "--model", str(theirs)]
    command += ["--out", "made", "--rank", "2", "--steps", "300"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(600):
            if os.path.isdir("made/training") and list(os.scandir("made/training")):
                if any(e.name.startswith("step-") for e in os.scandir("made/training")):
                    break
            time.sleep(0.05)
    finally:
        running.kill()
        running.wait()
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert json.loads(open("made/report.json").read())["dev"]["steps"][-1] == 300
    assert not os.path.exists("made/training")


def test_what_is_done_is_not_done_again(mine, theirs, capsys):
    arguments = (mine, "--model", theirs, "--out", "made", *QUICK)
    assert tune(*arguments) == 0
    first = os.stat("made/adapter.safetensors").st_mtime_ns
    assert tune(*arguments) == 0
    assert os.stat("made/adapter.safetensors").st_mtime_ns == first
    said = refused(capsys, mine, "--model", theirs, "--out", "made", "--steps", 5, "--rank", 2)
    assert "settings, steps: 4 there, 5 here" in said
    assert tune(*arguments[:-4], "--steps", 5, "--rank", 2, "--anew") == 0


# what it refuses

GOOD = "".join(json.dumps(row) + "\n" for row in ROWS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "mine.jsonl is empty"),
        (b" \n\n", "mine.jsonl is empty"),
        (GOOD.splitlines()[0], "1 different prompts in 1 records"),
        (GOOD.splitlines()[0] + "\n" + GOOD.splitlines()[0], "1 different prompts in 2 records"),
        (GOOD.encode("utf-16"), "mine.jsonl, line 1: not UTF-8"),
        (GOOD.encode() + b'{"prompt": "caf\xe9"}', "line 41: not UTF-8: byte 16 of the line"),
        (GOOD + '{"prompt": "a"}', "line 41: field 'answer' is missing; it has 'prompt'"),
        (GOOD + '{"answer": "a"}', "line 41: field 'prompt' is missing"),
        ('{"question": "a"}\n' + GOOD, "line 1: field 'prompt' is missing, and so is 'text'"),
        (GOOD + '{"prompt": "a", "answer": null}', "line 41: field 'answer' must be text, got No"),
        (GOOD + '{"prompt": "a", "answer": NaN}', "line 41: field 'answer' holds nan"),
        (GOOD + '{"prompt": "a", "answer": 3}', "line 41: field 'answer' must be text, got int"),
        (GOOD + '{"prompt": "a", "answer": " "}', "line 41: field 'answer' is blank"),
        (GOOD + '{"prompt": "a", "prompt": "b", "answer": "c"}', "line 41: field 'prompt' stands"),
        (GOOD + '{"prompt": "a", "answer": "\\ud83d"}', "line 41: field 'answer' holds half a"),
        (GOOD + "[" * 50_000, "line 41: n"),  # nested too deeply, or not JSON: as Python has it
        (GOOD + "\n" + GOOD, "line 41: blank, between two records"),
        ("prompt,answer\nsay 1,1\n", "line 1: not JSON"),
        ("Once upon a time\n\nthere was", "line 1: not JSON"),
        (json.dumps(ROWS), "line 1: must be an object with fields, got list"),
        (b"\x00\x01\x02\x80PNG", "line 1: not UTF-8"),
        (GOOD + json.dumps({"prompt": "say " * 60, "answer": "a"}), "line 41: the record has"),
    ],
)
def test_a_file_at_fault_is_one_sentence(elsewhere, theirs, capsys, content, message):
    path = elsewhere / "mine.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    said = refused(capsys, path, "--model", theirs, *QUICK)
    assert message in said


def test_a_row_too_long_names_both_lengths(elsewhere, theirs, capsys):
    rows = [*ROWS, {"prompt": "say " * 60, "answer": "a"}, {"prompt": "ask " * 60, "answer": "a"}]
    said = refused(capsys, write(elsewhere / "long.jsonl", rows), "--model", theirs, *QUICK)
    ids = adapt.open_base(theirs).template.row(adapt.Record(prompt="say " * 60, answer="a", line=1))
    assert f"line 41: the record has {len(ids[0])} tokens, the context is 48" in said
    assert "2 of 42 records" in said


def test_a_place_that_is_no_file(elsewhere, theirs, capsys, monkeypatch):
    assert "there is no file 'none.jsonl'" in refused(capsys, "none.jsonl", "--model", theirs)
    assert "is a folder" in refused(capsys, elsewhere, "--model", theirs)
    if os.name == "posix":
        assert "no regular file" in refused(capsys, os.devnull, "--model", theirs)
    big = write(elsewhere / "big.jsonl", ROWS)
    monkeypatch.setattr("llmcourse.adapt.task.MOST_BYTES", 100)
    said = refused(capsys, big, "--model", theirs)
    assert "big.jsonl has" in said and "the limit" in said


def test_a_huge_file_is_refused_unread(elsewhere, theirs, capsys):
    with open("huge.jsonl", "wb") as file:
        file.truncate(80 * 2**30)  # sparse: nothing is on the disk
    assert "81,920 MiB, and 64 are the limit" in refused(capsys, "huge.jsonl", "--model", theirs)


@pytest.mark.parametrize("lacks", ["config.json", "model.safetensors"])
def test_a_model_folder_that_lacks_a_file(mine, theirs, elsewhere, capsys, lacks):
    copy = shutil.copytree(theirs, elsewhere / "copy")
    (copy / lacks).unlink()
    said = refused(capsys, mine, "--model", "copy", *QUICK)
    assert f"a model folder needs {lacks}" in said


def test_a_model_folder_without_a_tokenizer(mine, folders, elsewhere, capsys):
    copy = shutil.copytree(folders / "ours", elsewhere / "copy")
    (copy / "tokenizer.json").unlink()
    assert "needs tokenizer.json" in refused(capsys, mine, "--model", "copy", *QUICK)
    copy = shutil.copytree(folders / "theirs", elsewhere / "copy2")
    for name in ("tokenizer.json", "merges.txt"):
        (copy / name).unlink()
    assert "merges.txt" in refused(capsys, mine, "--model", "copy2", *QUICK)
    (copy / "config.json").write_text("{")
    assert "damaged" in refused(capsys, mine, "--model", "copy2", *QUICK)


def test_a_tokenizer_that_does_not_fit(mine, folders, elsewhere, capsys):
    copy = shutil.copytree(folders / "ours", elsewhere / "copy")
    BPE.train("ab " * 9, vocab_size=258).save(copy / "tokenizer.json")
    said = refused(capsys, mine, "--model", "copy", *QUICK)
    assert "258 tokens, the model 1209" in said
    copy = shutil.copytree(folders / "theirs", elsewhere / "copy2")
    bpe = BPE.train(
        "say what it is that you want to know " * 50, vocab_size=275, special_tokens=[hf.END]
    )
    bpe.to_hf(copy / "tokenizer.json")
    theirs = adapt.open_base(folders / "theirs")
    said = refused(capsys, mine, "--model", "copy2", *QUICK)
    assert f"{bpe.vocab_size} tokens, the model {theirs.model.config.vocab_size}" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--rank", 99), "rank must be at most 16"),
        (("--rank", -1), "rank must be at least 0"),
        (("--steps", 0), "steps must be at least 1"),
        (("--batch", 0), "batch must be at least 1"),
        (("--lr", "nan"), "lr must be above 0 and finite"),
        (("--lr", 0), "lr must be above 0 and finite"),
        (("--field", "a", "b", "c"), "fields are a prompt and an answer"),
        (("--field", "title"), "field 'title' is missing"),
        (("--model", "gpt9"), "there is no folder 'gpt9'; the models that ship are"),
        (("--threads", 0), "threads must be at least 1"),
        (("--out", "mine.jsonl"), "is a file; the result needs a folder"),
    ],
)
def test_a_setting_out_of_range(mine, theirs, capsys, options, message):
    assert message in refused(capsys, mine, "--model", theirs, "--steps", 2, *options)


def test_a_rate_that_diverges_says_what_to_try(mine, theirs, monkeypatch, capsys):
    def diverge(*arguments, **named):
        raise TrainingDiverged(3, float("nan"), 1.0, adapt.AdaptConfig().training(), None)

    monkeypatch.setattr(sys.modules["llmcourse.adapt.run"], "train", diverge)
    assert tune(mine, "--model", theirs, "--out", "made", *QUICK) == 2
    assert "smaller lr" in capsys.readouterr().err


def test_an_adapter_needs_its_own_base(mine, folders, elsewhere, capsys):
    copy = shutil.copytree(folders / "theirs", elsewhere / "copy")
    assert tune(mine, "--model", "copy", "--out", "made", *QUICK) == 0
    other = GPT(adapt.open_base(copy).model.config, seed=5)
    hf.save(other, copy, adapt.open_base(folders / "theirs").tokenizer)
    with pytest.raises(ValueError, match="other weights"):
        adapt.load("made")
    shutil.rmtree(copy)
    assert main(["sample", "--adapter", "made"]) == 1
    assert "there is no folder" in capsys.readouterr().err
    assert main(["sample", "--adapter", "nowhere"]) == 1
