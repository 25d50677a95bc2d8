"""An encoder-decoder Transformer: a source read both ways, a target written with a look back at it.

The encoder is a GPT's blocks without the causal mask; a decoder block has, between its own causal
attention and its MLP, a **cross-attention**: queries from the target, keys and values from the
encoded source. Vaswani et al. (2017); the parts are those of `llmcourse.gpt`.

A row of ids is a source, padding, and a target that begins with one of the `starts` (the mark of
its language), so that the rows and the training loop are those of a decoder-only model.

Example:
    >>> config = Seq2SeqConfig(vocab_size=50, context=16, starts=(2, 3), width=16, heads=2)
    >>> model = Seq2Seq(config, seed=0)
    >>> model(torch.tensor([[7, 8, 9, 2, 11, 12]]))[0].shape  # a source of 3, a target of 3
    torch.Size([1, 3, 50])
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from llmcourse import layers
from llmcourse.attention import attention_weights, fused_attend, merge_heads, split_heads
from llmcourse.batches import IGNORED, Batch, StoryBatches
from llmcourse.gpt import MLP, Attention, Block, KVCache, Norm
from llmcourse.gptconfig import GPTConfig

__all__ = ["CrossAttention", "Memory", "PairBatches", "Seq2Seq", "Seq2SeqConfig", "translate"]


@dataclass(frozen=True, kw_only=True)
class Seq2SeqConfig:
    """The form of an encoder-decoder; what is not named here is that of `GPTConfig.modern`.

    Raises:
        ValueError: a field breaks its rule; the message gives the rule and the value.
    """

    vocab_size: int
    context: int  # the longest source, and the longest target, in tokens
    starts: Sequence[int]  # ids with which a target begins, one a language; kept as a tuple
    pad: int = 0
    width: int = 128  # D
    heads: int = 4  # H
    encoder_layers: int = 2
    layers: int = 2  # of the decoder

    def __post_init__(self) -> None:
        object.__setattr__(self, "starts", tuple(self.starts))  # JSON has lists only
        for name, ids in (("starts", self.starts), ("pad", (self.pad,))):
            if not ids or not all(0 <= i < self.vocab_size for i in ids):
                rule = f"{name} must be ids in 0..{self.vocab_size - 1}"
                raise ValueError(f"{rule}, got {getattr(self, name)}")
        if self.pad in self.starts:
            raise ValueError(f"pad must not be a start, got {self.pad} of {self.starts}")
        if self.encoder_layers < 1:
            raise ValueError(f"encoder_layers must be at least 1, got {self.encoder_layers}")
        self.form  # noqa: B018  its rules hold, too

    @property
    def form(self) -> GPTConfig:
        """The decoder as a GPT without its cross-attention; encoder blocks have the same form."""
        return GPTConfig.modern(
            vocab_size=self.vocab_size,
            context=self.context,
            width=self.width,
            heads=self.heads,
            layers=self.layers,
        )


class CrossAttention(nn.Module):
    """Attention whose queries come from one sequence and whose keys and values from another.

    No mask of time and no positions: every source position may be looked at, and is found by what
    it holds. Queries and keys are normalised, as in the blocks of a modern GPT.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        D = config.width
        self.heads, self.eps = config.heads, config.eps
        self.q = layers.Linear(D, D, bias=False)
        self.kv = layers.Linear(D, 2 * D, bias=False)
        self.o = layers.Linear(D, D, bias=False)
        self.gain = nn.Parameter(torch.ones(2, config.heads, 1, config.head_width))

    def keys(
        self, source: Float[Tensor, "B S D"]
    ) -> tuple[Float[Tensor, "B H S K"], Float[Tensor, "B H S K"]]:
        """Keys and values of an encoded source: computed once, whatever is written."""
        k, v = self.kv(source).chunk(2, -1)
        k = layers.rms_norm(split_heads(k, self.heads), eps=self.eps) * self.gain[1]
        return k.to(v.dtype), split_heads(v, self.heads)

    def queries(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B H T K"]:
        q = layers.rms_norm(split_heads(self.q(x), self.heads), eps=self.eps)
        return (q * self.gain[0]).to(x.dtype)

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        keys: tuple[Float[Tensor, "B H S K"], Float[Tensor, "B H S K"]],
        mask: Bool[Tensor, "B 1 1 S"],
    ) -> Float[Tensor, "B T D"]:
        k, v = keys
        mask = mask.expand(-1, 1, x.shape[1], -1)
        return self.o(merge_heads(fused_attend(self.queries(x).to(v.dtype), k, v, False, mask)))


class EncoderBlock(Block):
    """A GPT's block in which every position sees every position that is no padding."""

    def forward(
        self, x: Float[Tensor, "B S D"], mask: Bool[Tensor, "B 1 1 S"]
    ) -> Float[Tensor, "B S D"]:
        q, k, v = self.attention.project(self.norm1(x))
        seen = mask.expand(-1, 1, x.shape[1], -1)
        x = x + self.attention.o(merge_heads(fused_attend(q, k, v, False, seen)))
        return x + self.mlp(self.norm2(x))


class DecoderBlock(nn.Module):
    """Causal attention over the target, cross-attention over the source, MLP."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.norm1, self.attention = Norm(config), Attention(config)
        self.norm2, self.cross = Norm(config), CrossAttention(config)
        self.norm3, self.mlp = Norm(config), MLP(config)

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        keys: tuple[Float[Tensor, "B H S K"], Float[Tensor, "B H S K"]],
        mask: Bool[Tensor, "B 1 1 S"],
        cache: KVCache | None = None,
        layer: int = 0,
    ) -> Float[Tensor, "B T D"]:
        x = x + self.attention(self.norm1(x), None, cache, layer)
        x = x + self.cross(self.norm2(x), keys, mask)
        return x + self.mlp(self.norm3(x))


@dataclass(frozen=True)
class Memory:
    """An encoded source: keys and values of each decoder block, and which positions are real."""

    keys: tuple[tuple[Tensor, Tensor], ...]  # each (B, H, S, K)
    mask: Bool[Tensor, "B 1 1 S"]


class Seq2Seq(nn.Module):
    """Source and target ids in, logits of the target's next tokens out.

    One table embeds source and target and unembeds the target. Weights depend on `config` and
    `seed` alone; every block starts as the identity.
    """

    def __init__(self, config: Seq2SeqConfig, seed: int = 0) -> None:
        super().__init__()
        self.config, form = config, config.form
        self.embed = layers.Embedding(form.vocab_size, form.width)
        self.encoder = nn.ModuleList(EncoderBlock(form) for _ in range(config.encoder_layers))
        self.encoder_norm = Norm(form)
        self.blocks = nn.ModuleList(DecoderBlock(form) for _ in range(config.layers))
        self.norm = Norm(form)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, p in self.named_parameters():
                if name.endswith((".o.weight", ".down.weight")):
                    p.zero_()
                elif p.ndim == 2:
                    std = 0.02 if name.startswith("embed") else p.shape[1] ** -0.5
                    p.normal_(0, std, generator=generator)
                else:
                    p.fill_(1.0)

    def split(self, ids: Int[Tensor, "B N"]) -> tuple[Int[Tensor, "B S"], Int[Tensor, "B T"]]:
        """A batch of rows as sources and targets, cut before the column of starts.

        Raises:
            ValueError: no column after the first holds a start in every row.
        """
        starts = torch.isin(ids, torch.tensor(self.config.starts, device=ids.device)).all(0)
        where = starts[1:].nonzero()
        if not len(where):
            raise ValueError(
                f"each row must hold a source, then in one column a start of {self.config.starts}, "
                f"got {tuple(ids.shape)} ids without such a column"
            )
        cut = 1 + int(where[0])
        return ids[:, :cut], ids[:, cut:]

    def encode(self, source: Int[Tensor, "B S"]) -> Memory:
        """Read the sources: what the decoder's cross-attention looks at."""
        self._check(source, "source")
        mask = (source != self.config.pad)[:, None, None]
        x = self.embed(source)
        for block in self.encoder:
            x = block(x, mask)
        x = self.encoder_norm(x)
        return Memory(tuple(block.cross.keys(x) for block in self.blocks), mask)

    def decode(
        self, target: Int[Tensor, "B T"], memory: Memory, cache: KVCache | None = None
    ) -> Float[Tensor, "B T V"]:
        """Logits after each target position; with a `cache`, `target` is read after what it has."""
        self._check(target, "target", 0 if cache is None else cache.used)
        x = self.embed(target)
        for i, (block, keys) in enumerate(zip(self.blocks, memory.keys, strict=True)):
            x = block(x, keys, memory.mask, cache, i)
        if cache is not None:
            cache.used += target.shape[1]
        return F.linear(self.norm(x), self.embed.weight)

    def forward(
        self, ids: Int[Tensor, "B N"], targets: Int[Tensor, "B M"] | None = None
    ) -> tuple[Float[Tensor, "B T V"], Float[Tensor, ""] | None]:
        """Logits at each target position, and the mean loss in nats over targets but −100.

        `targets` has a column for each target position, or for each position of `ids`; those of
        the source are then left out.
        """
        source, target = self.split(ids)
        logits = self.decode(target, self.encode(source))
        if targets is None:
            return logits, None
        wanted = targets[:, -target.shape[1] :]
        loss = F.cross_entropy(logits.float().flatten(0, 1), wanted.flatten(), ignore_index=IGNORED)
        return logits, loss

    @torch.no_grad()
    def attention(self, ids: Int[Tensor, "B N"]) -> Float[Tensor, "L B H T S"]:
        """Cross-attention of every block and head: row t is used to write target token t + 1."""
        source, target = self.split(ids)
        memory, x, found = self.encode(source), self.embed(target), []
        for block, keys in zip(self.blocks, memory.keys, strict=True):
            x = x + block.attention(block.norm1(x))
            q = block.cross.queries(block.norm2(x))
            seen = memory.mask.expand(-1, 1, target.shape[1], -1)
            found.append(attention_weights(q, keys[0], False, seen))
            x = x + block.cross(block.norm2(x), keys, memory.mask)
            x = x + block.mlp(block.norm3(x))
        return torch.stack(found)

    def parameter_count(self) -> int:
        """All weights, shared ones once."""
        return sum(p.numel() for p in self.parameters())

    def _check(self, ids: Tensor, name: str, before: int = 0) -> None:
        if before + ids.shape[1] > self.config.context:
            raise ValueError(
                f"a {name} of {before + ids.shape[1]} tokens is longer than the context of "
                f"{self.config.context}"
            )
        layers.check_ids(ids, self.config.vocab_size)


class PairBatches(StoryBatches):
    """Batches of (source, target) for `train`: sources padded to one width, then the targets.

    A target begins with its start; only what follows it is learned. Pairs of like length meet.

    Raises:
        ValueError: a source is empty, or a target has nothing after its start.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
        *,
        batch: int,
        seed: int = 0,
        pad: int = 0,
    ) -> None:
        for number, (source, target) in enumerate(pairs):
            if not len(source) or len(target) < 2:
                raise ValueError(
                    "a pair needs a source, and a target of a start and a token; number "
                    f"{number} has {len(source)} and {len(target)} ids"
                )
        super().__init__([[*s, *t] for s, t in pairs], batch=batch, seed=seed, pad=pad)
        self.cut = self.offsets[:-1] + [len(s) for s, _ in pairs]

    def __call__(self, step: int) -> Batch:
        epoch, place = divmod(step, self.steps_per_epoch)
        chosen = self._order(epoch)[place]
        parts = [
            (self.flat[self.offsets[i] : self.cut[i]], self.flat[self.cut[i] : self.offsets[i + 1]])
            for i in chosen
        ]
        S, T = max(len(s) for s, _ in parts), max(len(t) for _, t in parts) - 1
        x = torch.full((len(parts), S + T), self.pad)
        y = torch.full((len(parts), S + T), IGNORED)
        for row, (source, target) in enumerate(parts):
            x[row, : len(source)] = torch.from_numpy(source.astype("int64"))
            ids = torch.from_numpy(target.astype("int64"))
            x[row, S : S + len(ids) - 1] = ids[:-1]
            y[row, S : S + len(ids) - 1] = ids[1:]
        return x, y


@torch.inference_mode()
def translate(
    model: Seq2Seq,
    sources: Sequence[Sequence[int]],
    *,
    start: int,
    end: int,
    max_new: int | None = None,
    batch: int = 64,
) -> list[list[int]]:
    """The greedy target of each source, without `start` and `end`.

    A target that does not end within `max_new` tokens (the context) is given as far as it came.

    Raises:
        ValueError: a source is empty or longer than the context, or `start` is none of the model's.
    """
    config = model.config
    room = config.context if max_new is None else min(max_new, config.context)
    if start not in config.starts:
        raise ValueError(f"start must be one of {config.starts}, got {start}")
    if any(not len(source) for source in sources):
        raise ValueError("a source must hold at least one id, got an empty one")
    found: list[list[int]] = [[] for _ in sources]
    order = sorted(range(len(sources)), key=lambda i: len(sources[i]))
    was_training = model.training
    model.eval()
    for at in range(0, len(order), batch):
        now = order[at : at + batch]
        rows = [torch.tensor(list(sources[i])) for i in now]
        padded = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=config.pad)
        memory = model.encode(padded)
        cache = KVCache(config.form, len(now), length=room)
        last = torch.full((len(now), 1), start)
        done = torch.zeros(len(now), dtype=torch.bool)
        for _ in range(room):
            last = model.decode(last, memory, cache)[:, -1:].argmax(-1)
            done |= last[:, 0] == end
            if done.all():
                break
            for i, token, over in zip(now, last[:, 0].tolist(), done.tolist(), strict=True):
                if not over:
                    found[i].append(token)
    model.train(was_training)
    return found
