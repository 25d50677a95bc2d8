"""Laws of training on many processes: every way of sharing the work gives one process's weights."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcourse import checkpoint, distributed, throughput
from llmcourse.distributed import (
    bubble,
    daly,
    gpipe,
    mfu,
    most_kept,
    one_f_one_b,
    timeline,
    useful_share,
    young,
    zero_bytes,
)
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.train import TrainConfig, read_log, train

LIMIT = 150  # seconds a launch may take on a loaded machine
KILLED_AT = 7

# What all launches share; run here, too, for the one process that they are compared with.
COMMON = """
import os, signal, sys, time
import torch
torch.set_num_threads(1)
import torch.distributed as dist
from llmcourse import distributed
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.train import StoryBatches, TrainConfig, train

stories = [[i % 20] + [(i + j) % 20 for j in range(1 + i % 7)] for i in range(31)]
batches = StoryBatches(stories, batch=5)  # the last batch has one row: some process has none

def model(seed=0, **more):
    fields = dict(vocab_size=20, context=16, width=12, layers=2, heads=2, zero_outputs=False)
    return GPT(GPTConfig.modern(**(fields | more)), seed=seed)

def config(**more):
    fields = dict(steps=12, lr=1e-2, accumulate=2, clip=0.2, precision="fp32", log_every=1,
                  eval_every=5, eval_batches=2, checkpoint_every=5, timeout=60.0)
    return TrainConfig(**(fields | more))
"""


def launch(folder: Path, script: str, processes: int, *flags: str) -> subprocess.CompletedProcess:
    """Run a script under torchrun; a free port is found by `--standalone`."""
    file = folder / "script.py"
    file.write_text(COMMON + textwrap.dedent(script))
    line = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", *flags]
    quiet = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    return subprocess.run(
        [sys.executable, *line, str(file)],
        capture_output=True, text=True, timeout=LIMIT, env=quiet, cwd=folder,
    )  # fmt: skip


@pytest.fixture(scope="module")
def common():
    names: dict = {}
    threads = torch.get_num_threads()
    exec(COMMON, names)
    torch.set_num_threads(threads)
    return names


def apart(a: torch.nn.Module, b: torch.nn.Module) -> float:
    pairs = zip(a.parameters(), b.parameters(), strict=True)
    return max(float((p - q).detach().abs().max()) for p, q in pairs)


# ---- one process -----------------------------------------------------------------------------


def test_alone_everything_is_the_identity():
    t = torch.ones(3)
    assert distributed.processes() == (0, 1)
    assert distributed.whole(t) is t and distributed.part_like(t, t) is t
    assert distributed.add_up(2.5) == 2.5
    distributed.agree("nothing", 1)
    with pytest.raises(ValueError, match="torchrun"):
        distributed.shard(torch.nn.Linear(2, 2))


def test_asking_to_shard_alone_changes_nothing(common, tmp_path):
    models = []
    for shard in (False, True):
        models.append(common["model"]())
        train(models[-1], common["batches"], common["config"](shard=shard))
    assert apart(*models) == 0.0


def test_only_a_lost_process_is_renamed():
    with (
        pytest.raises(RuntimeError, match="shapes do not"),
        distributed.together(lambda: (0, None)),
    ):
        raise RuntimeError("shapes do not match")


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("inf")])
def test_the_timeout_is_checked(timeout):
    with pytest.raises(ValueError, match="timeout must be above 0"):
        TrainConfig(timeout=timeout)


# ---- two processes ---------------------------------------------------------------------------

EQUAL = """
rank, world = distributed.processes()
for optimizer in ("adamw", "muon"):
    for shard in (False, True):
        m = model(seed=rank)  # process 0's weights are everybody's
        train(m, batches, config(optimizer=optimizer, shard=shard), dev=batches,
              out=f"{optimizer}-{shard}")
        assert distributed.is_sharded(m) == shard
        held = sum((p.to_local() if shard else p).numel() for p in m.parameters())
        print(f"held {optimizer} {shard} {held}", flush=True)

# The ring adds up as torch does, sends what the formula says, and agrees to the bit.
for size in (1, 7, 1000):
    x = torch.randn(size, generator=torch.Generator().manual_seed(rank))
    theirs = x.clone()
    dist.all_reduce(theirs)
    sent = torch.tensor([distributed.ring_all_reduce(x)])
    torch.testing.assert_close(x, theirs)
    everybody = [torch.empty_like(x) for _ in range(world)]
    dist.all_gather(everybody, x)
    assert all(torch.equal(e, x) for e in everybody)
    dist.all_reduce(sent)
    assert int(sent) == 2 * (world - 1) * size, (sent, size)  # of all processes together

# Tensor parallel: outputs and every gradient of one process, for each form of block.
forms = [dict(kv_heads=2, heads=4, width=16), dict(mlp="relu2", qk_norm=False)]
for form in [*forms, dict(mlp="gelu", norm="layer", bias=True, positions="learned")]:
    whole, split = (model(**form) for _ in range(2))
    chance = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p, q in zip(whole.parameters(), split.parameters()):
            q.copy_(p.add_(0.1 * torch.randn(p.shape, generator=chance)))  # biases too
    for block in split.blocks:
        distributed.split_block(block, rank, world)
    ids = torch.arange(24).reshape(2, 12) % 20
    for m in (whole, split):
        m(ids, ids)[1].backward()
    torch.testing.assert_close(split(ids)[0], whole(ids)[0])
    for (name, p), q in zip(whole.named_parameters(), split.parameters()):
        want = p.grad
        if q.shape != p.shape and name.endswith(("o.weight", "down.weight")):
            want = want.chunk(world, dim=1)[rank]
        elif "qkv" in name or name.endswith("gain"):
            c = whole.config
            kv = c.kv_heads
            K = c.head_width
            sizes = [c.heads, kv] if "gain" in name else [c.heads * K, kv * K, kv * K]
            want = torch.cat([w.chunk(world)[rank] for w in want.split(sizes)])
        elif q.shape != p.shape:
            want = want.chunk(world)[rank]
        torch.testing.assert_close(q.grad, want, msg=lambda m: f"{name}: {m}")

# Pipeline: both plans give the gradients of one process.
for planner in (distributed.gpipe, distributed.one_f_one_b):
    whole, mine = model(tied=False), model(tied=False)
    ids = torch.arange(8 * 12).reshape(8, 12) % 20
    whole(ids, ids)[1].backward()
    parts = ids.chunk(4)
    def stage(x, i):
        if rank == 0:
            return mine.blocks[0](mine.embed_ids(parts[i]))
        logits = mine.unembed(mine.blocks[1](x))
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), parts[i].flatten()) / 4
    plan = planner(rank, world, 4)
    assert distributed.run_stage(plan, stage, (2, 12, 12)) == distributed.most_kept(plan)
    for p, q in zip(whole.parameters(), mine.parameters()):
        if q.grad is not None:
            torch.testing.assert_close(q.grad, p.grad)

try:
    distributed.agree("the step", rank)
except RuntimeError as error:
    assert "[0, 1] by process" in str(error)
else:
    raise AssertionError("two steps agreed")
dist.destroy_process_group()
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    done = launch(folder, EQUAL, 2)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, done.stdout


@pytest.mark.parametrize("shard", [False, True])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_two_processes_give_the_weights_of_one(two, common, tmp_path, optimizer, shard):
    one = common["model"]()
    config = common["config"](optimizer=optimizer)
    history = train(one, common["batches"], config, dev=common["batches"])
    ours = checkpoint.load(two[0] / f"{optimizer}-{shard}")
    # Muon may orthogonalise in bfloat16, where a last bit counts 2⁻⁸.
    tolerance = 1e-4 if optimizer == "adamw" else 5e-3
    assert apart(one, ours) < tolerance
    log = read_log(two[0] / f"{optimizer}-{shard}")
    assert [r["tokens"] for r in log] == [r["tokens"] for r in history.records]
    norms = [r["norm"] for r in log]
    assert norms == pytest.approx(history.series("norm")[1], rel=1e-2)  # clipped by the global one
    assert min(norms) > config.clip
    assert log[-1]["dev_loss"] == pytest.approx(history.last("dev_loss"), abs=1e-2)


def test_a_sharded_process_holds_half(two):
    total = GPT(GPTConfig.modern(vocab_size=20, context=16, width=12, layers=2, heads=2))
    count = total.parameter_count()
    held = [int(n) for n in re.findall(r"held adamw True (\d+)", two[1])]
    assert len(held) == 2 and sum(held) == count and max(held) < 0.55 * count
    assert re.findall(r"held adamw False (\d+)", two[1]) == [str(count)] * 2


# ---- a process dies ----------------------------------------------------------------------------

DYING = """
rank, world = distributed.processes(60.0)
def dying(step):
    if step == 2 * {step} and rank == 1 and not os.path.exists("died"):
        open("died", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return batches(step)
train(model(), dying, config(shard=True), out="run")
dist.destroy_process_group()
"""


def test_a_killed_run_ends_and_four_processes_finish_it(common, tmp_path):
    script = DYING.format(step=KILLED_AT)
    began = time.monotonic()
    done = launch(tmp_path, script, 2)
    assert done.returncode != 0 and time.monotonic() - began < LIMIT
    assert "-9" in done.stderr and "local_rank: 1" in done.stderr
    assert checkpoint.latest(tmp_path / "run").name == "step-000005"
    # Two wrote it, one reads it ...
    alone = common["model"]()
    checkpoint.load_into(alone, tmp_path / "run")
    # ... and four go on.
    done = launch(tmp_path, script, 4)
    assert done.returncode == 0, done.stderr[-3000:]
    whole = common["model"]()
    train(whole, common["batches"], common["config"]())
    assert apart(whole, checkpoint.load(tmp_path / "run")) < 1e-4
    assert [r["step"] for r in read_log(tmp_path / "run")] == list(range(1, 13))


def free_port() -> str:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return str(s.getsockname()[1])


def test_the_one_left_behind_says_so(tmp_path):
    """Without an agent that ends the others: each process is started by hand, as by `srun`."""
    file = tmp_path / "script.py"
    file.write_text(COMMON + textwrap.dedent(DYING.format(step=2)))
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "WORLD_SIZE": "2"}
    both = []
    for rank in range(2):
        env = os.environ | where | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        both.append(
            subprocess.Popen(
                [sys.executable, str(file)], env=env, cwd=tmp_path,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
    try:
        said = [p.communicate(timeout=LIMIT)[1] for p in both]
    finally:
        for p in both:
            p.kill()
    assert both[1].returncode == -signal.SIGKILL
    assert both[0].returncode == 1
    assert "process 0 of 2 stops at step 2: another process is gone" in said[0]
    assert "Last good checkpoint: none" in said[0] and "ProcessLost" in said[0]


# ---- plans and arithmetic ------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 12), st.sampled_from([gpipe, one_f_one_b]))
def test_plans_are_complete_and_idle_as_the_formula_says(stages, micro, planner):
    plans = [planner(s, stages, micro) for s in range(stages)]
    for s, plan in enumerate(plans):
        assert sorted(plan) == sorted((k, i) for k in "FB" for i in range(micro))
        assert most_kept(plan) == (micro if planner is gpipe else min(micro, stages - s))
    done = timeline(plans, forward=1.0, backward=2.0)
    total = max(end for times in done for _, end in times.values())
    assert 1 - 3 * micro / total == pytest.approx(bubble(stages, micro))


def test_plans_that_wait_for_each_other_are_refused():
    with pytest.raises(ValueError, match="wait for each other"):
        timeline([[("B", 0), ("F", 0)], [("F", 0), ("B", 0)]])
    with pytest.raises(ValueError, match="stage in"):
        gpipe(2, 2, 1)


def test_zero_gives_the_figures_of_its_paper():
    got = [zero_bytes(7.5e9, 64, stage) / 1e9 for stage in range(4)]
    assert got == pytest.approx([120, 31.4, 16.6, 1.9], abs=0.05)
    for stage in range(4):
        assert zero_bytes(1e9, 1, stage) == 16e9  # alone there is nobody to share with
    with pytest.raises(ValueError, match="stage in"):
        zero_bytes(1, 1, 4)


@pytest.mark.parametrize("mtbf, minutes", [(24 * 60, 117), (6 * 60, 57), (15, 9.1)])
def test_daly_gives_the_figures_of_his_paper(mtbf, minutes):
    got = daly(5, mtbf)  # figures 3 to 5: a save takes 5 minutes
    assert got == pytest.approx(minutes, abs=0.5)
    best = max(range(1, 4000), key=lambda t: useful_share(t / 10, 5, mtbf)) / 10
    assert got == pytest.approx(best, rel=0.02)
    assert young(5, mtbf) == pytest.approx((10 * mtbf) ** 0.5)


def test_arithmetic_refuses_nonsense():
    assert daly(10, 2) == 2
    assert mfu(100.0, 6e9, 1.2e12) == pytest.approx(0.5)
    for call in (lambda: young(0, 1), lambda: mfu(1, 1, 0), lambda: useful_share(1, 1, 1, -1)):
        with pytest.raises(ValueError, match="must be"):
            call()


def test_throughput_reports_what_it_measured(capsys):
    throughput.main("--layers 1 --width 64 --context 16 --batch 2 --steps 2 --vocab 64".split())
    line = json.loads(capsys.readouterr().out)
    size = GPTConfig.modern(vocab_size=64, context=16, width=64, heads=1, layers=1)
    assert line["parameters"] == size.parameter_count()
    assert line["flops_per_token"] == 3 * size.flops_per_token()
    rate = line["tokens_per_second"] * line["flops_per_token"]
    assert line["mfu"] == pytest.approx(rate / line["peak"], rel=0.05, abs=1e-4)
