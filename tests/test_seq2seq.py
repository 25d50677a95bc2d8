"""Laws of the encoder-decoder: who may look where, padding, caches, batches, bad input."""

import pytest
import torch
import torch.nn.functional as F

from llmcourse import checkpoint, seq2seq
from llmcourse.batches import IGNORED
from llmcourse.seq2seq import PairBatches, Seq2Seq, Seq2SeqConfig, translate
from llmcourse.train import TrainConfig, train

END = 1


@pytest.fixture
def model():
    config = Seq2SeqConfig(vocab_size=40, context=16, starts=(2, 3), width=16, heads=2)
    made = Seq2Seq(config, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # outputs that start at zero would hide every fault
        for name, p in made.named_parameters():
            if name.endswith((".o.weight", ".down.weight")):
                p.normal_(0, 0.3, generator=generator)
    return made.eval()


def row(source, target, pad=0):
    return torch.tensor([[*source, *[0] * pad, *target]])


def test_logits_stand_at_target_positions_alone(model):
    ids = row([7, 8, 9], [2, 11, 12, 13])
    logits, loss = model(ids)
    assert logits.shape == (1, 4, 40) and loss is None


def test_loss_is_the_cross_entropy_of_the_targets(model):
    ids = row([7, 8, 9], [2, 11, 12])
    wanted = torch.tensor([[IGNORED, IGNORED, IGNORED, 11, 12, END]])
    logits, loss = model(ids, wanted)
    torch.testing.assert_close(loss, F.cross_entropy(logits[0], wanted[0, 3:]))
    torch.testing.assert_close(model(ids, wanted[:, 3:])[1], loss)


def test_padding_of_the_source_changes_nothing(model):
    plain = model(row([7, 8, 9], [2, 11, 12]))[0]
    padded = model(row([7, 8, 9], [2, 11, 12], pad=5))[0]
    torch.testing.assert_close(plain, padded)


def test_the_source_is_read_both_ways_and_the_target_forwards(model):
    source, target = torch.tensor([[7, 8, 9]]), torch.tensor([[2, 11, 12]])
    base = model(torch.cat([source, target], 1))[0]
    for place in range(3):  # every source token moves the first target position
        other = source.clone()
        other[0, place] = 30
        assert not torch.allclose(model(torch.cat([other, target], 1))[0][:, 0], base[:, 0])
    for place in (1, 2):  # a target token moves nothing before itself, and what is at itself
        other = target.clone()
        other[0, place] = 30
        moved = model(torch.cat([source, other], 1))[0]
        torch.testing.assert_close(moved[:, :place], base[:, :place])
        assert not torch.allclose(moved[:, place], base[:, place])


def test_cross_attention_is_softmax_attention_over_real_positions(model):
    ids = row([7, 8, 9], [2, 11, 12], pad=2)
    weights = model.attention(ids)
    assert weights.shape == (2, 1, 2, 3, 5)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 1, 2, 3))
    assert (weights[..., 3:] == 0).all()


def test_attention_is_what_the_forward_pass_uses(model):
    """The last block's output, rebuilt from the weights that `attention` shows."""
    source, target = model.split(row([7, 8, 9], [2, 11, 12]))
    memory = model.encode(source)
    shown = model.attention(torch.cat([source, target], 1))
    x = model.embed(target)
    for block, (_, v), weights in zip(model.blocks, memory.keys, shown, strict=True):
        x = x + block.attention(block.norm1(x))
        mixed = (weights @ v).transpose(1, 2).flatten(-2)
        x = x + block.cross.o(mixed)
        x = x + block.mlp(block.norm3(x))
    logits = F.linear(model.norm(x), model.embed.weight)
    torch.testing.assert_close(logits, model.decode(target, memory), rtol=1e-4, atol=1e-5)


def test_a_fresh_model_starts_as_the_identity():
    config = Seq2SeqConfig(vocab_size=40, context=16, starts=(2,), width=16, heads=2)
    made = Seq2Seq(config, seed=0)
    logits = made(row([7, 8, 9], [2, 11]))[0]
    x = made.norm(made.embed(torch.tensor([[2, 11]])))
    torch.testing.assert_close(logits, F.linear(x, made.embed.weight))


def test_translate_is_the_greedy_loop_without_a_cache(model):
    sources = [[7, 8, 9], [20], [9, 8, 7, 6, 5, 4]]
    got = translate(model, sources, start=2, end=END, max_new=6, batch=2)
    for source, found in zip(sources, got, strict=True):
        ids = [2]
        for _ in range(6):
            ids.append(int(model(row(source, ids))[0][0, -1].argmax()))
            if ids[-1] == END:
                break
        assert found == [i for i in ids[1:] if i != END]


def test_a_checkpoint_builds_the_same_model(model, tmp_path):
    checkpoint.save(model, tmp_path)
    again = checkpoint.load(tmp_path)
    ids = row([7, 8, 9], [2, 11, 12])
    torch.testing.assert_close(again(ids)[0], model(ids)[0])
    assert again.config == model.config


def test_batches_align_sources_and_targets():
    pairs = [([7, 8, 9], [2, 11, END]), ([5], [3, 12, 13, 14, END])]
    x, y = PairBatches(pairs, batch=2, seed=0)(0)
    assert x.shape == y.shape == (2, 3 + 4)
    assert sorted(x.tolist()) == [[5, 0, 0, 3, 12, 13, 14], [7, 8, 9, 2, 11, 0, 0]]
    learned = [[i for i in r if i != IGNORED] for r in y.tolist()]
    assert sorted(learned) == [[11, END], [12, 13, 14, END]]
    assert (y[:, :3] == IGNORED).all()


def test_an_epoch_holds_every_pair_once():
    pairs = [([5] * (1 + i % 4), [2, 10 + i, END]) for i in range(23)]
    source = PairBatches(pairs, batch=5, seed=3)
    seen = [int(v) for s in range(source.steps_per_epoch) for v in source(s)[1].flatten()]
    assert sorted(v for v in seen if v >= 10) == [10 + i for i in range(23)]


def test_it_learns_to_translate_in_reverse_order():
    generator = torch.Generator().manual_seed(0)
    draws = [(4 + torch.randperm(8, generator=generator)[:4]).tolist() for _ in range(420)]
    pairs = [(d, [2, *(i + 8 for i in reversed(d)), END]) for d in draws]
    config = Seq2SeqConfig(
        vocab_size=20, context=8, starts=(2,), width=32, heads=2, encoder_layers=1, layers=1
    )
    learner = Seq2Seq(config, seed=0)
    batches = PairBatches(pairs[:400], batch=32, seed=0)
    train(learner, batches, TrainConfig(steps=200, lr=5e-3, optimizer="muon", precision="fp32"))
    got = translate(learner, [s for s, _ in pairs[400:]], start=2, end=END, max_new=6)
    right = sum(g == t[1:-1] for g, (_, t) in zip(got, pairs[400:], strict=True))
    assert right >= 18, f"{right} of 20"


def test_bad_input_is_named(model):
    good = dict(vocab_size=40, context=16, starts=(2,))
    for change, words in (
        (dict(starts=()), "starts must be ids"),
        (dict(starts=(40,)), "got (40,)"),
        (dict(pad=2), "pad must not be a start"),
        (dict(encoder_layers=0), "encoder_layers must be at least 1, got 0"),
        (dict(width=30, heads=4), "width must divide by heads"),
    ):
        with pytest.raises(ValueError) as caught:
            Seq2SeqConfig(**(good | change))
        assert words in str(caught.value)
    with pytest.raises(ValueError, match="a source of 17 tokens"):
        model(row([7] * 17, [2, 11]))
    with pytest.raises(ValueError, match="a target of 17 tokens"):
        model(row([7], [2] + [11] * 16))
    with pytest.raises(ValueError, match="without such a column"):
        model(row([7, 8], [9, 11]))
    with pytest.raises(ValueError, match="got 40"):
        model(row([40], [2, 11]))
    with pytest.raises(ValueError, match="start must be one of"):
        translate(model, [[7]], start=9, end=END)
    with pytest.raises(ValueError, match="at least one id"):
        translate(model, [[7], []], start=2, end=END)
    with pytest.raises(ValueError, match="number 1 has 0 and 2 ids"):
        PairBatches([([7], [2, END]), ([], [2, END])], batch=1)
    with pytest.raises(ValueError, match="number 0 has 1 and 1 ids"):
        PairBatches([([7], [2])], batch=1)
    assert seq2seq.translate(model, [], start=2, end=END) == []
