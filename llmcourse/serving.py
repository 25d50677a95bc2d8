"""Many users at once: a cache in pages, and batches that requests join and leave.

`PagedCache` is real: a GPT reads through it and gives the logits it gives with a `KVCache`. `serve`
is a simulation: it schedules requests on a machine described by two numbers, operations and bytes a
second, and counts what each policy makes of them. Kwon et al. (2023), Yu et al. (2022).

Example:
    >>> load = [Request(arrival=0.0, prompt=10, output=n) for n in (5, 50)]
    >>> cost = Cost(weights=1e9, token=0.0, flops=1e9, peak=1e13, rate=1e12)
    >>> report = serve(load, cost, Policy(memory=256, longest=64))
    >>> report.tokens, report.steps
    (55, 50)
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from llmcourse.gpt import KVCache
from llmcourse.gptconfig import GPTConfig

__all__ = ["Cost", "PagedCache", "Policy", "Pool", "PoolFull", "Report", "Request", "serve"]


class PoolFull(RuntimeError):
    """No free block is left: somebody must wait or give back what he holds."""


class Pool:
    """Blocks of `block` positions each, with room for their keys and values, and who holds them."""

    def __init__(self, config: GPTConfig, *, blocks: int, block: int = 16) -> None:
        if blocks < 1 or block < 1:
            raise ValueError(f"blocks and block must be at least 1, got {blocks} and {block}")
        self.config, self.block = config, block
        shape = (config.layers, blocks, config.kv_heads, block, config.head_width)
        self.keys, self.values = torch.zeros(shape), torch.zeros(shape)
        self.holders = [0] * blocks
        self._free = list(range(blocks))[::-1]

    @property
    def free(self) -> int:
        """Blocks that nobody holds."""
        return len(self._free)

    def take(self) -> int:
        """A free block, now held once.

        Raises:
            PoolFull: there is none.
        """
        if not self._free:
            raise PoolFull(f"all {len(self.holders)} blocks are held")
        self.holders[number := self._free.pop()] = 1
        return number

    def release(self, number: int) -> None:
        """One holder less; without holders the block is free."""
        if not self.holders[number]:
            raise ValueError(f"block {number} is free already")
        self.holders[number] -= 1
        if not self.holders[number]:
            self._free.append(number)


class PagedCache(KVCache):
    """What one sequence has read, in blocks that may lie anywhere; stands where a `KVCache` stands.

    `table` names the sequence's blocks in order. A `fork` shares them: whoever writes into a block
    that others hold too copies it first.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool, self.table, self.used = pool, [], 0

    @property
    def length(self) -> int:
        """Positions that the model may reach; how many fit depends on who else holds blocks."""
        return self.pool.config.context

    def append(
        self, layer: int, k: Float[Tensor, "1 G T K"], v: Float[Tensor, "1 G T K"]
    ) -> tuple[Float[Tensor, "1 G S K"], Float[Tensor, "1 G S K"]]:
        """Write the new keys and values of one layer; return all that the layer may see.

        Raises:
            PoolFull: the pool has no block left; nothing of this read is kept.
        """
        end = self.used + k.shape[2]
        if layer == 0:
            self._reserve(end)
        pool, places = self.pool, torch.arange(self.used, end)
        table = torch.tensor(self.table)
        blocks, rows = table[places // pool.block], places % pool.block
        pool.keys[layer, blocks, :, rows] = k[0].transpose(0, 1)
        pool.values[layer, blocks, :, rows] = v[0].transpose(0, 1)
        return self._read(pool.keys[layer], table, end), self._read(pool.values[layer], table, end)

    def _read(self, stored: Tensor, table: Tensor, end: int) -> Float[Tensor, "1 G S K"]:
        # A kernel made for pages reads them in place; here they are gathered.
        return stored[table].transpose(0, 1).flatten(1, 2)[None, :, :end]

    def _reserve(self, end: int) -> None:
        block, pool = self.pool.block, self.pool
        shared = self.used % block and pool.holders[self.table[self.used // block]] > 1
        more = math.ceil(end / block) - len(self.table)
        if more + bool(shared) > pool.free:
            raise PoolFull(f"{more + bool(shared)} blocks are needed and {pool.free} are free")
        if shared:  # copy on write
            old, new = self.table[self.used // block], pool.take()
            pool.keys[:, new], pool.values[:, new] = pool.keys[:, old], pool.values[:, old]
            pool.release(old)
            self.table[self.used // block] = new
        self.table += [pool.take() for _ in range(more)]

    def fork(self) -> "PagedCache":
        """Another sequence with the same past, which costs no memory until they part."""
        other = PagedCache(self.pool)
        other.table, other.used = list(self.table), self.used
        for number in self.table:
            self.pool.holders[number] += 1
        return other

    def reorder(self, rows: Tensor) -> None:
        """A table holds one sequence: a beam that splits is a `fork`."""
        raise NotImplementedError("a paged cache holds one sequence: use fork")

    def truncate(self, used: int) -> None:
        """Forget every position from `used` on, and give back the blocks that held only those."""
        if not 0 <= used <= self.used:
            raise ValueError(f"can only shorten a cache of {self.used} positions, got {used}")
        keep = math.ceil(used / self.pool.block)
        for number in self.table[keep:]:
            self.pool.release(number)
        del self.table[keep:]
        self.used = used


@dataclass(frozen=True, kw_only=True)
class Request:
    """A prompt of so many tokens, which came at `arrival` seconds and wants `output` tokens."""

    arrival: float
    prompt: int
    output: int

    def __post_init__(self) -> None:
        if not 0 <= self.arrival < math.inf or self.prompt < 1 or self.output < 1:
            raise ValueError(
                f"a request comes at a time from 0 on with 1 token or more, got {self}"
            )


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The roofline of a step: operations and bytes overlap, and the slower one sets the time."""

    weights: float  # bytes of all weights, read once a step
    token: float  # bytes of cache that a position holds
    flops: float  # operations a new position
    peak: float  # operations a second
    rate: float  # bytes a second
    start: float = 0.0  # seconds to start a step, whatever it holds

    def seconds(self, new: int, held: int) -> float:
        """A step that reads `new` positions with `held` positions in caches behind them."""
        moved = self.weights + self.token * held
        return self.start + max(self.flops * new / self.peak, moved / self.rate)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How requests share the machine."""

    memory: int  # positions that fit in all caches together
    longest: int  # positions that a request may come to; without pages each reserves them
    continuous: bool = True  # a request joins at any step; else batches start and end as one
    block: int | None = None  # positions of a page; None: one piece of `longest` a request
    rows: int = 256  # requests in a batch at most

    def __post_init__(self) -> None:
        if self.rows < 1 or (self.block is not None and self.block < 1):
            raise ValueError(f"rows and block must be at least 1, got {self.rows}, {self.block}")
        if self.block is not None and not self.continuous:
            raise ValueError("a batch that starts and ends as one reserves its memory: no pages")
        if self.room(self.longest) > self.memory:
            raise ValueError(f"one request of {self.longest} must fit in memory {self.memory}")

    def room(self, positions: int) -> int:
        """Memory taken by a request that holds so many positions."""
        if self.block is None:
            return self.longest
        return self.block * math.ceil(positions / self.block)


@dataclass
class _Row:
    number: int
    request: Request
    done: int = 0  # tokens written
    unread: int = 0  # positions to read in the next step

    @property
    def held(self) -> int:
        """Positions in the cache after the next step."""
        return self.request.prompt + self.done

    @property
    def finished(self) -> bool:
        return self.done == self.request.output


@dataclass
class Report:
    """What a simulated server did; times in seconds from the start."""

    first: list[float]  # when each request had its first token
    finish: list[float]  # when it had its last
    tokens: int = 0
    steps: int = 0
    evictions: int = 0
    end: float = 0.0
    # (time, requests running, positions held, positions reserved) after each step
    trace: list[tuple[float, int, int, int]] = field(default_factory=list)

    @property
    def throughput(self) -> float:
        """Tokens a second."""
        return self.tokens / self.end

    def mean(self, what: int) -> float:
        """Mean over the steps of a column of `trace`."""
        return sum(row[what] for row in self.trace) / len(self.trace)


def serve(requests: Sequence[Request], cost: Cost, policy: Policy) -> Report:
    """Simulate a server: first come, first served.

    A step reads the prompts of those who join and one token of everybody else. Where a page is
    needed and none is free, the newest request gives its pages back, waits at the head of the
    queue, and later reads prompt and own output again.

    Raises:
        ValueError: there is no request, or one is longer than `policy.longest`.
    """
    if not requests:
        raise ValueError("there are no requests to serve")
    if too_long := [r for r in requests if r.prompt + r.output - 1 > policy.longest]:
        raise ValueError(f"a request may hold {policy.longest} positions, got {too_long[0]}")
    order = sorted(range(len(requests)), key=lambda i: requests[i].arrival)
    waiting = deque(_Row(i, requests[i]) for i in order)
    running: list[_Row] = []
    report = Report(first=[math.nan] * len(requests), finish=[math.nan] * len(requests))
    now = 0.0
    while waiting or running:
        if not running:
            now = max(now, waiting[0].request.arrival)
        taken = sum(policy.room(row.held) for row in running)
        while len(running) > 1 and taken > policy.memory:  # a page is needed and none is free
            newest = running.pop()
            taken -= policy.room(newest.held)
            waiting.appendleft(newest)
            report.evictions += 1
        joins = policy.continuous or not running
        while (
            joins and waiting and waiting[0].request.arrival <= now and len(running) < policy.rows
        ):
            need = policy.room(waiting[0].held)
            if taken + need > policy.memory:
                break
            row = waiting.popleft()
            row.unread, taken = row.held, taken + need
            running.append(row)
        held = sum(row.held for row in running)
        now += cost.seconds(sum(row.unread for row in running), held)
        for row in running:
            row.unread = 1
            if row.finished:  # static batches compute on for those who are done
                continue
            row.done += 1
            report.tokens += 1
            if row.done == 1:
                report.first[row.number] = now
            if row.finished:
                report.finish[row.number] = now
        report.steps += 1
        report.trace.append((now, sum(not r.finished for r in running), held, taken))
        if policy.continuous:
            running = [row for row in running if not row.finished]
        elif all(row.finished for row in running):
            running = []
    report.end = now
    return report
