"""Laws of alignment: what is learned, what the losses equal, what the estimates estimate."""

import copy
import itertools
import json
import math
from pathlib import Path

import pytest
import torch

from llmcourse import align, chat
from llmcourse.align import stories as stories_of
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.tokenizers import TalesTokenizer
from llmcourse.train import TrainConfig, TrainingDiverged, train

TOKENIZER = TalesTokenizer()
TRL = Path(__file__).parent / "fixtures" / "trl_dpo.json"


def tiny(vocab: int = 12, context: int = 24, seed: int = 0) -> GPT:
    config = GPTConfig.modern(vocab_size=vocab, context=context, width=16, heads=2, layers=1)
    return GPT(config, seed=seed).eval()


def talks(n: int) -> list:
    words = ["Nina ran.", "Frank.", "Under the bed.", "The book."]
    return [
        chat.encode(TOKENIZER, [("user", words[i % 4] * (1 + i % 3)), ("assistant", words[i % 3])])
        for i in range(n)
    ]


# Supervised fine-tuning.


def test_targets_are_the_answers_and_nothing_else():
    rows = talks(7)
    batches = align.AnswerBatches(rows, batch=3, seed=1)
    seen = []
    for step in range(batches.steps_per_epoch):
        x, y = batches(step)
        for i in range(len(x)):
            seen.append((x[i].tolist(), [t for t in y[i].tolist() if t != -100]))
    want = sorted([t for t, a in zip(ids, answer, strict=True) if a] for ids, answer in rows)
    assert sorted(targets for _, targets in seen) == want


def test_everything_learns_every_token():
    rows = talks(4)
    x, y = align.AnswerBatches(rows, batch=4, everything=True)(0)
    assert int((y != -100).sum()) == sum(len(ids) - 1 for ids, _ in rows)


def test_a_row_without_answer_is_named():
    rows = [*talks(2), chat.encode(TOKENIZER, [("user", "Hi")])]
    with pytest.raises(ValueError, match="row 2 has nothing to learn"):
        align.AnswerBatches(rows, batch=2)
    with pytest.raises(ValueError, match="row 0 has 3 ids and 2 marks"):
        align.AnswerBatches([([1, 2, 3], [True, True])], batch=1)


def test_sft_learns_the_answers():
    model = GPT(GPTConfig.modern(vocab_size=TOKENIZER.vocab_size, context=64, width=16, heads=2,
                                 layers=1), seed=0)  # fmt: skip
    batches = align.AnswerBatches(talks(12), batch=4)
    config = TrainConfig(steps=60, lr=1e-2, precision="fp32")
    history = train(model, batches, config)
    assert history.last("loss") < 0.2 * history.records[0]["loss"]


# Preferences.


def test_sequence_logprob_is_the_sum_over_the_answer():
    model = tiny()
    rows = [([1, 2, 3, 4], [False, False, True, True]), ([5, 6, 7], [False, True, False])]
    ids, answer = align.pad_rows(rows)
    got = align.sequence_logprob(model, ids, answer)
    for value, (tokens, marked) in zip(got, rows, strict=True):
        logp = model(torch.tensor([tokens]))[0][0].log_softmax(-1)
        want = sum(logp[t - 1, tokens[t]] for t in range(len(tokens)) if marked[t])
        torch.testing.assert_close(value, want)


def test_padding_changes_no_logprob():
    model = tiny()
    short = ([1, 2, 3], [False, True, True])
    alone = align.sequence_logprob(model, *align.pad_rows([short]))
    beside = align.sequence_logprob(model, *align.pad_rows([short, ([1] * 9, [True] * 9)]))
    torch.testing.assert_close(alone[0], beside[0])


def test_dpo_of_the_reference_itself_is_log_2_with_the_gradient_of_half_beta():
    chosen, rejected = (torch.randn(5, requires_grad=True) for _ in range(2))
    loss = align.dpo_loss(chosen, rejected, chosen.detach(), rejected.detach(), beta=0.3)
    torch.testing.assert_close(loss, torch.full((5,), math.log(2)))
    loss.sum().backward()
    torch.testing.assert_close(chosen.grad, torch.full((5,), -0.15))
    torch.testing.assert_close(rejected.grad, torch.full((5,), 0.15))


@pytest.mark.parametrize("case", json.loads(TRL.read_text("utf-8"))["cases"])
def test_dpo_equals_trls_loss_and_gradient(case):
    names = ("chosen", "rejected", "reference_chosen", "reference_rejected")
    given = {name: torch.tensor(case[name]) for name in names}
    learned = [given[name].requires_grad_() for name in names[:2]]
    loss = align.dpo_loss(**given, beta=case["beta"])
    torch.testing.assert_close(loss, torch.tensor(case["losses"]))
    loss.mean().backward()
    torch.testing.assert_close(
        torch.stack([x.grad for x in learned]), torch.tensor(case["gradient"])
    )


def test_dpo_is_lowest_at_the_known_optimum():
    """With comparisons drawn by Bradley and Terry, DPO's optimum is π_ref exp(r/β) / Z."""
    generator = torch.Generator().manual_seed(0)
    reference = torch.randn(5, generator=generator, dtype=torch.float64).log_softmax(-1)
    reward = torch.randn(5, generator=generator, dtype=torch.float64)
    beta = 0.7
    best = (reference + reward / beta).log_softmax(-1)
    pairs = torch.tensor(list(itertools.permutations(range(5), 2)))
    weight = torch.sigmoid(reward[pairs[:, 0]] - reward[pairs[:, 1]])

    def loss(logp):
        (w, lose) = pairs.T
        return (
            weight * align.dpo_loss(logp[w], logp[lose], reference[w], reference[lose], beta=beta)
        ).sum()

    free = best.clone().requires_grad_()
    loss(free.log_softmax(-1)).backward()
    torch.testing.assert_close(free.grad, torch.zeros(5, dtype=torch.float64))
    for _ in range(5):
        other = best + 0.1 * torch.randn(5, generator=generator, dtype=torch.float64)
        assert loss(other.log_softmax(-1)) > loss(best)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"beta": 0.0}, "beta must be above 0"),
        ({"rejected": torch.tensor([0.0, math.nan])}, "rejected must be finite.*nan at 1"),
    ],
)
def test_dpo_refuses_nonsense(change, says):
    zeros = torch.zeros(2)
    given = dict(chosen=zeros, rejected=zeros, reference_chosen=zeros, reference_rejected=zeros)
    with pytest.raises(ValueError, match=says):
        align.dpo_loss(**(given | change))


GOOD = '{"prompt": "Who?", "chosen": "Nina.", "rejected": "Frank."}\n'


def test_pairs_are_read(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text(GOOD * 2, encoding="utf-8")
    assert (
        align.read_pairs(path) == [align.Pair(prompt="Who?", chosen="Nina.", rejected="Frank.")] * 2
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"prompt": "Who?", "chosen": NaN, "rejected": "a"}', "line 2: field 'chosen' holds nan"),
        ('{"prompt": "Who?", "chosen": "a", "rejected": null}', "line 2: field 'rejected'.*None"),
        ('{"prompt": "Who?", "chosen": "a"}', "line 2: field 'rejected' is missing"),
        ('{"prompt": " ", "chosen": "a", "rejected": "b"}', "line 2: field 'prompt' is blank"),
        ('{"prompt": "q", "chosen": "a", "rejected": "a"}', "line 2: fields 'chosen' and 'rejec"),
    ],
)
def test_a_bad_pair_is_named_by_line_and_field(tmp_path, line, says):
    path = tmp_path / "pairs.jsonl"
    path.write_text(GOOD + line + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=says):
        align.read_pairs(path)


# Policy gradient.


def test_advantages_are_centred_scaled_and_zero_where_all_are_equal():
    rewards = torch.tensor([[1.0, 0.0, 0.0, 1.0], [0.1, 0.1, 0.1, 0.1], [0.0, 0.0, 0.0, 4.0]])
    plain = align.group_advantages(rewards, scale="none")
    torch.testing.assert_close(plain, rewards - rewards.mean(1, keepdim=True))
    scaled = align.group_advantages(rewards)
    torch.testing.assert_close(scaled[0], (rewards[0] - 0.5) / (rewards[0].std() + 1e-4))
    assert torch.equal(scaled[1], torch.zeros(4)) and torch.equal(plain[1], torch.zeros(4))
    with pytest.raises(ValueError, match="at least 2 answers"):
        align.group_advantages(rewards[:, :1])
    with pytest.raises(ValueError, match="nan for answer 1 of prompt 0"):
        align.group_advantages(torch.tensor([[0.0, math.nan]]))


def test_on_the_policys_own_samples_the_clipped_gradient_is_the_policy_gradient():
    logp = torch.randn(3, 4, requires_grad=True)
    gain = torch.tensor([1.0, -2.0, 0.5])
    align.clipped_loss(logp, logp.detach(), gain).sum().backward()
    torch.testing.assert_close(logp.grad, -gain[:, None].expand(3, 4))


@pytest.mark.parametrize(
    ("ratio", "gain"), list(itertools.product((0.5, 0.9, 1.1, 1.5), (1.0, -1.0)))
)
def test_the_gradient_stops_where_the_step_went_too_far_and_only_there(ratio, gain):
    logp = torch.tensor([[math.log(ratio)]], requires_grad=True)
    loss = align.clipped_loss(logp, torch.zeros(1, 1), torch.tensor([gain]), clip=0.2)
    loss.sum().backward()
    too_far = (ratio > 1.2 and gain > 0) or (ratio < 0.8 and gain < 0)
    torch.testing.assert_close(logp.grad, torch.tensor([[0.0 if too_far else -ratio * gain]]))


def discrete(seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    p, q = (torch.randn(6, generator=generator, dtype=torch.float64) for _ in range(2))
    return p.requires_grad_(), q.log_softmax(-1)


def test_k1_and_k3_have_the_kl_as_expectation_and_k2_has_not():
    p, q = discrete()
    logp = p.log_softmax(-1).detach()
    exact = (logp.exp() * (logp - q)).sum()
    for kind in ("k1", "k3"):
        torch.testing.assert_close((logp.exp() * align.kl_estimate(logp, q, kind)).sum(), exact)
    assert (align.kl_estimate(logp, q, "k3") >= 0).all()
    assert abs((logp.exp() * align.kl_estimate(logp, q, "k2")).sum() - exact) > 0.01


def test_as_losses_the_estimates_descend_other_divergences_than_they_estimate():
    p, q = discrete(1)

    def gradient(loss):
        return torch.autograd.grad(loss, p)[0]

    logp = p.log_softmax(-1)
    weight = logp.detach().exp()  # samples are drawn, not differentiated
    reverse = gradient((logp.exp() * (logp - q)).sum())
    logp = p.log_softmax(-1)
    forward = gradient((q.exp() * (q - logp)).sum())
    for kind, want in (("k1", 0 * reverse), ("k2", reverse), ("k3", forward)):
        logp = p.log_softmax(-1)
        got = gradient((weight * align.kl_estimate(logp, q, kind)).sum())
        torch.testing.assert_close(got, want, msg=kind)


def test_a_mean_over_tokens_makes_a_token_of_a_long_answer_weigh_less():
    values = torch.ones(2, 4)
    answer = torch.tensor([[True, False, False, False], [True, True, True, True]])
    assert float(align.over_tokens(values, answer, length="mean")) == 1.0
    assert float(align.over_tokens(values, answer, length="sum")) == 2.5
    weighted = align.over_tokens(values, answer, length="sum", weights=torch.tensor([3.0, 1.0]))
    assert float(weighted) == (3 * 1 + 4) / 4


# Rollouts.

PROMPTS = [[1, 2, 3], [4, 5, 6, 7, 8], [9, 10]]


def test_greedy_rollouts_are_what_each_prompt_gives_alone():
    from llmcourse.sample import generate

    model = tiny()
    got = align.rollouts(
        model, PROMPTS, group=2, max_new=6, generator=0, stop=[11], temperature=0.0
    )
    for prompt, group in zip(PROMPTS, got, strict=True):
        alone = generate(model, prompt, max_new=6, temperature=0, stop=[11])
        assert group == [alone, alone]


def test_sampled_rollouts_have_the_models_distribution():
    model = tiny(vocab=5)
    prompts = [[1, 2, 3], [4]]
    drawn = align.rollouts(model, prompts, group=4000, max_new=1, generator=0)
    for prompt, group in zip(prompts, drawn, strict=True):
        p = model(torch.tensor([prompt]))[0][0, -1].detach().softmax(-1)
        counts = torch.bincount(torch.tensor(group).flatten(), minlength=5)
        chi2 = float(((counts - 4000 * p) ** 2 / (4000 * p)).sum())
        assert chi2 < 23.5  # four degrees of freedom: one in ten thousand


def test_rollouts_say_what_does_not_fit():
    with pytest.raises(ValueError, match=r"23 tokens and max_new is 2.*context of 24"):
        align.rollouts(tiny(), [[1] * 23], group=1, max_new=2, generator=0)


def test_exact_answer_is_letter_for_letter_and_ended():
    reward = align.exact_answer(TOKENIZER, ["Nina."])
    end = TOKENIZER.special_tokens["<|end|>"]
    words = TOKENIZER.encode("Nina.")
    assert reward(0, [*words, end]) == 1.0
    assert reward(0, words) == 0.0
    assert reward(0, [*TOKENIZER.encode("Nina. Nina."), end]) == 0.0


# The loops.


def ones(number, new):
    """More of token 3 is better."""
    return float(sum(t == 3 for t in new))


def test_grpo_raises_the_reward():
    model = tiny()
    config = align.GRPOConfig(steps=25, prompts=2, group=8, max_new=4, lr=1e-2)
    history = align.grpo(model, PROMPTS, ones, config, stop=[])
    rewards = history.series("reward")[1]
    assert sum(rewards[-5:]) > 2 * sum(rewards[:5])


def test_a_strong_penalty_holds_the_policy_at_the_reference():
    found = {}
    for kl in (0.0, 10.0):
        model, reference = tiny(), tiny()
        config = align.GRPOConfig(
            steps=20, prompts=2, group=8, max_new=4, lr=1e-2, kl=kl, estimate="k2", length="sum"
        )
        align.grpo(model, PROMPTS, ones, config, stop=[], reference=reference)
        groups = align.rollouts(model, PROMPTS, group=64, max_new=4, generator=9)
        rows = [
            ([*p, *new], [False] * len(p) + [True] * len(new))
            for p, g in zip(PROMPTS, groups, strict=True)
            for new in g
        ]
        ids, answer = align.pad_rows(rows)
        gap = align.sequence_logprob(model, ids, answer) - align.sequence_logprob(
            reference, ids, answer
        )
        found[kl] = float(gap.mean().detach())
    assert found[10.0] < 0.2 * found[0.0]


def test_equal_answers_computed_once_give_the_same_step():
    """The saving changes nothing: one update equals that of all answers written out."""
    config = align.GRPOConfig(
        steps=1, prompts=3, group=16, max_new=2, lr=1e-2, warmup=0, scale="none", length="sum"
    )
    model = tiny(vocab=12)
    by_hand = copy.deepcopy(model)
    align.grpo(model, PROMPTS, ones, config, stop=[])

    import numpy as np

    some = np.random.default_rng((0, 0)).permutation(3).tolist()
    groups = align.rollouts(
        by_hand, [PROMPTS[i] for i in some], group=16, max_new=2,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    rewards = torch.tensor([[ones(0, new) for new in g] for g in groups])
    gains = (rewards - rewards.mean(1, keepdim=True)).flatten()
    rows = [
        ([*PROMPTS[i], *new], [False] * len(PROMPTS[i]) + [True] * 2)
        for i, g in zip(some, groups, strict=True)
        for new in g
    ]
    loss = -(gains * align.sequence_logprob(by_hand, *align.pad_rows(rows))).mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(by_hand.parameters(), 1.0)
    moved = 0
    for (name, p), before, q in zip(
        by_hand.named_parameters(), tiny().parameters(), model.parameters(), strict=True
    ):
        # Adam's first step is the sign of the gradient, where that is not near zero.
        sure = p.grad.abs() > 1e-5
        want = before - 1e-2 * p.grad.sign()
        torch.testing.assert_close(q[sure], want[sure], atol=1e-4, rtol=0, msg=name)
        moved += int(sure.sum())
    assert moved > 500


def test_runs_resume_to_the_same_weights(tmp_path):
    def run(model, steps, out):
        config = align.GRPOConfig(steps=steps, prompts=2, group=4, max_new=3, lr=1e-2, updates=2)
        align.grpo(model, PROMPTS, ones, config, stop=[], out=out)
        return model

    whole = run(tiny(), 6, tmp_path / "whole")
    config = align.GRPOConfig(
        steps=6, prompts=2, group=4, max_new=3, lr=1e-2, updates=2, checkpoint_every=2
    )

    class Killed(Exception):
        pass

    def kill(history):
        if history.records[-1]["step"] == 5:
            raise Killed

    with pytest.raises(Killed):
        align.grpo(tiny(), PROMPTS, ones, config, stop=[], out=tmp_path / "cut", on_log=kill)
    resumed = tiny()
    history = align.grpo(resumed, PROMPTS, ones, config, stop=[], out=tmp_path / "cut")
    assert history.started_at == 4
    for p, q in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(p, q)


def test_dpo_parts_the_pairs():
    model, reference = tiny(), tiny()
    pairs = [
        (([1, 2, a], [False, False, True]), ([1, 2, b], [False, False, True]))
        for a, b in ((3, 4), (5, 6), (7, 8))
    ]
    config = align.DPOConfig(steps=30, batch=3, lr=1e-2)
    history = align.dpo(model, pairs, config, reference=reference)
    assert history.last("accuracy") == 1.0
    assert history.last("loss") < 0.8 * history.records[0]["loss"]
    assert history.records[0]["loss"] == pytest.approx(math.log(2), rel=1e-5)


@pytest.mark.parametrize("loop", ["dpo", "grpo"])
def test_a_model_gone_bad_stops_with_the_step(loop):
    model = tiny()
    with torch.no_grad():
        model.norm.weight.fill_(1e38)
        model.embed.weight.mul_(1e3)
    with pytest.raises((TrainingDiverged, ValueError), match=r"step 0|not a number"):
        if loop == "grpo":
            align.grpo(model, PROMPTS, ones, align.GRPOConfig(steps=1, max_new=2), stop=[])
        else:
            pair = (([1, 2, 3], [False, False, True]), ([1, 2, 4], [False, False, True]))
            align.dpo(model, [pair], align.DPOConfig(steps=1), reference=tiny())


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"group": 1}, "group must be at least 2"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"clip_ratio": 1.0}, "clip_ratio must lie between"),
        ({"estimate": "k4"}, "estimate must be one of"),
        ({"lr": math.nan}, "lr must be"),
    ],
)
def test_configurations_refuse_nonsense(fields, says):
    with pytest.raises(ValueError, match=says):
        align.GRPOConfig(**fields)


def test_a_penalty_needs_a_reference_that_is_another_model():
    model = tiny()
    with pytest.raises(ValueError, match="needs a reference"):
        align.grpo(model, PROMPTS, ones, align.GRPOConfig(kl=0.1), stop=[])
    with pytest.raises(ValueError, match="another model"):
        align.grpo(model, PROMPTS, ones, align.GRPOConfig(), stop=[], reference=model)


# Talks about stories.


def test_talks_hold_every_question_once_and_fit_the_context():
    from llmcourse import tales

    for language in tales.LANGUAGES:
        stories = tales.generate(seed=3, n=4, language=language)
        rows = stories_of.talks(TOKENIZER, stories, seed=1, context=256)
        assert max(len(ids) for ids, _ in rows) <= 256
        turns = [t for ids, _ in rows for t in chat.parse(TOKENIZER, ids)]
        asked = sorted(text.split("\n")[-1] for role, text in turns if role == "user")
        assert asked == sorted(qa.question for s in stories for qa in tales.questions(s))


def test_items_end_where_the_reply_begins_and_replies_are_exact():
    from llmcourse import tales

    stories = tales.generate(seed=3, n=3)
    found = stories_of.items(TOKENIZER, stories)
    assert len(found) == 33
    for item in found:
        facts = {qa.about: qa.answer for qa in tales.questions(stories[item.story])}
        plain = item.wanted.rstrip(".").lower()
        want = facts[item.about]
        assert plain == (want.lower() if want else "the story does not say")
        assert item.answerable == (want is not None)
        assert chat.parse(TOKENIZER, item.prompt[:-1])[0][1].endswith(item.question)
