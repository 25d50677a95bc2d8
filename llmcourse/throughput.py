"""Tokens a second and model FLOP utilisation of a training step, on whatever is here.

    python -m llmcourse.throughput                                  # this CPU, or one GPU
    torchrun --standalone --nproc-per-node gpu -m llmcourse.throughput --shard
    torchrun --nnodes 4 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29500 \
        --rdzv-id a-name -m llmcourse.throughput --shard --width 2048 --layers 24 --batch 8

On CUDA: bfloat16 (where the hardware has it), torch's flash attention, its fused AdamW, and
`torch.compile` unless `--eager`. Steps are timed after a warm-up, between two synchronisations;
the tokens of all processes count. The peak is the maker's figure for dense bfloat16 where it is
known, and the fastest of some matrix products measured here where it is not. A JSON line comes
out at the end, from process 0.
"""

import argparse
import json
import time

import torch

from llmcourse import distributed
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.optim import bf16_is_fast

__all__ = ["main", "measured_peak", "peak", "run"]

# Dense bfloat16, from the makers' data sheets; the names are parts of what CUDA reports.
PEAKS = {"H100 PCIe": 756e12, "H100": 989e12, "H200": 989e12, "A100": 312e12}


def measured_peak(device: torch.device, dtype: torch.dtype, seconds: float = 0.5) -> float:
    """Operations a second of the fastest of several square matrix products."""
    best = 0.0
    for side in (256, 512, 1024) if device.type == "cpu" else (2048, 4096, 8192):
        a = torch.randn(side, side, device=device, dtype=dtype)
        (a @ a).sum().item()
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < seconds / 3:
            product = a @ a
            count += 1
            if device.type == "cuda":
                torch.cuda.synchronize()
        best = max(best, 2 * side**3 * count / (time.perf_counter() - began))
        del product
    return best


def peak(device: torch.device, dtype: torch.dtype) -> tuple[float, str]:
    """Operations a second of one process's device, and where the figure is from."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    for part, value in PEAKS.items():
        if part in name and dtype == torch.bfloat16:
            return value, f"{name}, data sheet"
    return measured_peak(device, dtype), f"{name}, measured"


def run(options: argparse.Namespace) -> dict:
    """Train on random tokens and time it; what `main` prints."""
    rank, world = distributed.processes()
    device = distributed.device()
    cuda = device.type == "cuda"
    config = GPTConfig.modern(
        vocab_size=options.vocab, context=options.context, width=options.width,
        heads=max(1, options.width // 64), layers=options.layers,
    )  # fmt: skip
    model = GPT(config, seed=0).to(device)
    if options.shard and world > 1:
        distributed.shard(model)
    forward = torch.compile(model) if cuda and not options.eager else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    dtype = torch.bfloat16 if bf16_is_fast(device) else torch.float32
    chance = torch.Generator().manual_seed(rank)
    shape = (options.batch, options.context)
    ids = torch.randint(options.vocab, shape, generator=chance).to(device)

    def steps(count: int) -> None:
        for _ in range(count):
            with torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
                loss = forward(ids, ids)[1] / world
            loss.backward()
            if world > 1 and not distributed.is_sharded(model):
                distributed.sum_gradients(model.parameters(), 0.0)
            optimizer.step()
            optimizer.zero_grad()
        if cuda:
            torch.cuda.synchronize()

    steps(options.warmup)
    began = time.perf_counter()
    steps(options.steps)
    rate = world * ids.numel() * options.steps / (time.perf_counter() - began)
    best, source = peak(device, dtype)
    return {
        "processes": world,
        "parameters": config.parameter_count(),
        "tokens_per_second": round(rate),
        "flops_per_token": 3 * config.flops_per_token(),
        "peak": best * world,
        "peak_from": source,
        "dtype": str(dtype).removeprefix("torch."),
        "mfu": round(distributed.mfu(rate, 3 * config.flops_per_token(), best * world), 4),
        "peak_memory": torch.cuda.max_memory_allocated() if cuda else None,
    }


def main(arguments: list[str] | None = None) -> None:
    """Read the options, measure, print one line of JSON."""
    parser = argparse.ArgumentParser(prog="llmcourse.throughput", description=__doc__)
    cuda = torch.cuda.is_available()
    defaults = dict(vocab=50_304, context=1024, width=768, layers=12, batch=16, steps=20, warmup=5)
    if not cuda:  # a CPU gets a model of its size
        defaults = dict(vocab=256, context=128, width=128, layers=4, batch=8, steps=5, warmup=1)
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--shard", action="store_true", help="FSDP2 rather than whole models")
    parser.add_argument("--eager", action="store_true", help="do not compile")
    result = run(parser.parse_args(arguments))
    if distributed.processes()[0] == 0:
        print(json.dumps(result))
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
