"""The loop, and the nucleus."""

import torch

from llmcourse.exercises.core import Exercise, Wrong, close, expect

# The loop.


def generate_stub(next_logits, prompt, max_new, stop, temperature, generator):
    raise NotImplementedError


def generate(next_logits, prompt, max_new, stop, temperature, generator):
    new = []
    while len(new) < max_new:
        logits = next_logits([*prompt, *new])
        if temperature == 0:
            token = int(logits.argmax())
        else:
            probs = (logits / temperature).softmax(0)
            token = int(torch.multinomial(probs, 1, generator=generator))
        new.append(token)
        if token == stop:
            break
    return new


def _sums(ids):
    """A toy model whose next token is decided by the sum of all that it has read."""
    logits = torch.zeros(5)
    logits[sum(ids) % 4] = 4.0
    return logits


def _stops_at_three(ids):
    logits = torch.zeros(5)
    logits[4 if len(ids) >= 5 else 1] = 9.0
    return logits


def check_generate(answer):
    def draws():
        return torch.Generator().manual_seed(0)

    got = answer(_sums, [1, 2], 4, 4, 0, draws())
    expect(
        got != [3, 3, 3, 3],
        "the model must read all that was drawn, not the prompt (or the last token) alone",
        expected=[3, 2, 0, 0],
        got=got,
    )
    expect(got != [1, 2, 3, 2, 0, 0], "return the new tokens only, without the prompt", got=got)
    expect(
        got == [3, 2, 0, 0],
        "at temperature 0 take the most probable token each time",
        expected=[3, 2, 0, 0],
        got=got,
    )
    got = answer(_stops_at_three, [1, 1], 9, 4, 0, draws())
    expect(len(got) != 9, "stop after the stop token: this goes on to max_new", got=got)
    expect(
        got == [1, 1, 1, 4],
        "the stop token was drawn, so it is the last of the tokens returned",
        expected=[1, 1, 1, 4],
        got=got,
    )
    got = answer(_stops_at_three, [1, 1], 2, 4, 0, draws())
    expect(got == [1, 1], "draw max_new tokens, no more and no fewer", expected=[1, 1], got=got)

    base = torch.tensor([2.0, 1.0, 0.0])

    def share(temperature):
        g, counts = draws(), torch.zeros(3)
        for _ in range(40):
            for token in answer(lambda ids: base, [0], 25, 9, temperature, g):
                counts[token] += 1
        return counts / counts.sum()

    for t in (0.5, 2.0):
        got, want = share(t), (base / t).softmax(-1)
        far = float((got - want).abs().max())
        expect(
            float((got - (base * t).softmax(-1)).abs().max()) > 0.06,
            "divide the logits by the temperature: multiplying makes hot what should be cold",
            expected=want,
            got=got,
        )
        expect(
            float(got.max()) < 1.0,
            "above temperature 0 the token is drawn: this always takes the most probable",
            expected=want,
            got=got,
        )
        expect(
            float((got - base.softmax(-1)).abs().max()) > 0.06,
            "the temperature has no effect on the draws",
            expected=want,
            got=got,
        )
        expect(
            far < 0.06,
            f"of 1000 draws at temperature {t} the shares are off: draw from softmax(logits / T)",
            expected=want,
            got=got,
        )
    torch.manual_seed(1)
    one = answer(lambda ids: torch.zeros(50), [0], 8, 99, 1.0, draws())
    torch.manual_seed(2)
    two = answer(lambda ids: torch.zeros(50), [0], 8, 99, 1.0, draws())
    expect(one == two, "the same generator should give the same text: pass it to multinomial")


def _loop(next_logits, prompt, max_new, stop, temperature, generator, **fault):
    new = []
    for _ in range(max_new):
        seen = [*prompt, *new]
        logits = next_logits(list(prompt) if fault.get("prompt_only") else seen)
        if temperature == 0 or fault.get("greedy"):
            token = int(logits.argmax())
        else:
            t = fault.get("power", lambda x: x)(temperature)
            chance = None if fault.get("global_chance") else generator
            token = int(torch.multinomial((logits / t).softmax(-1), 1, generator=chance))
        if token == stop and fault.get("drops_stop"):
            break
        new.append(token)
        if token == stop and not fault.get("never_stops"):
            break
    return [*prompt, *new] if fault.get("with_prompt") else new


def _reads_prompt_only(next_logits, prompt, max_new, stop, temperature, generator):
    return _loop(next_logits, prompt, max_new, stop, temperature, generator, prompt_only=True)


def _returns_prompt(next_logits, prompt, max_new, stop, temperature, generator):
    return _loop(next_logits, prompt, max_new, stop, temperature, generator, with_prompt=True)


def _never_stops(next_logits, prompt, max_new, stop, temperature, generator):
    return _loop(next_logits, prompt, max_new, stop, temperature, generator, never_stops=True)


def _drops_stop(next_logits, prompt, max_new, stop, temperature, generator):
    return _loop(next_logits, prompt, max_new, stop, temperature, generator, drops_stop=True)


def _multiplies(next_logits, prompt, max_new, stop, temperature, generator):
    invert = {"power": lambda t: 1 / t}
    return _loop(next_logits, prompt, max_new, stop, temperature, generator, **invert)


def _always_greedy(next_logits, prompt, max_new, stop, temperature, generator):
    return _loop(next_logits, prompt, max_new, stop, temperature, generator, greedy=True)


def _ignores_temperature(next_logits, prompt, max_new, stop, temperature, generator):
    one = {"power": lambda t: 1.0}
    return _loop(next_logits, prompt, max_new, stop, temperature, generator, **one)


def _global_chance(next_logits, prompt, max_new, stop, temperature, generator):
    return _loop(next_logits, prompt, max_new, stop, temperature, generator, global_chance=True)


# The nucleus.


def nucleus_stub(probs, p):
    raise NotImplementedError


def nucleus(probs, p):
    ranked, order = probs.sort(descending=True, stable=True)
    before = ranked.cumsum(0) - ranked
    kept = torch.zeros_like(probs)
    kept[order] = ranked.masked_fill(before >= p, 0.0)
    return kept / kept.sum()


def check_nucleus(answer):
    def reach(probs, p, short=0):
        ranked, order = probs.sort(descending=True)
        n = int((ranked.cumsum(0) < p).sum()) + 1 - short
        kept = torch.zeros_like(probs)
        kept[order[: max(n, 0)]] = probs[order[: max(n, 0)]]
        return kept

    def case(values, p, note):
        probs = torch.tensor(values)
        kept = reach(probs, p)
        short, rising = reach(probs, p, 1), probs.clone()
        low = probs.sort()
        rising[low.indices] = low.values.masked_fill(low.values.cumsum(0) - low.values >= p, 0.0)
        at_least = probs.masked_fill(probs < p, 0.0)
        suspects = {
            "the kept probabilities must be divided by their sum: this is no distribution": kept,
            "the token that crosses p belongs to the nucleus: the kept mass must reach p": (
                short / short.sum() if short.sum() > 0 else short
            ),
            "p bounds the sum of the kept probabilities, not each one of them": (
                at_least / at_least.sum() if at_least.sum() > 0 else at_least
            ),
            "rank from the most probable down: this keeps the least probable": (
                rising / rising.sum()
            ),
            "put the kept probabilities back in their places: these are in ranked order": (
                (kept / kept.sum()).sort(descending=True).values
            ),
        }
        close(answer(probs, p), kept / kept.sum(), note, suspects=suspects)

    case([0.1, 0.5, 0.15, 0.25], 0.6, "p = 0.6 of (0.1, 0.5, 0.15, 0.25) keeps 0.5 and 0.25")
    case([0.3, 0.05, 0.2, 0.45], 0.9, "p = 0.9 keeps three of four here")
    case([0.3, 0.1, 0.6], 0.2, "the most probable token always stays")
    case([0.3, 0.1, 0.6], 1.0, "p = 1 keeps everything")
    close(
        answer(torch.tensor([0.25, 0.25, 0.5]), 0.5),
        torch.tensor([0.0, 0.0, 1.0]),
        "when the kept mass is p exactly, stop: the nucleus is the fewest tokens that reach p",
    )
    close(
        answer(torch.full((4,), 0.25), 0.5),
        torch.tensor([0.5, 0.5, 0.0, 0.0]),
        "among equals the lower id comes first: sort with stable=True",
    )
    many = answer(torch.full((1000,), 0.001), 0.5)
    expect(
        int((many[:490] > 0).sum()) == 490 and float(many[510:].sum()) == 0,
        "among 1000 equals too the lower ids come first: sort with stable=True",
        got=many,
    )


def _nucleus_with(probs, p, drop):
    ranked, order = probs.sort(descending=True, stable=True)
    kept = torch.zeros_like(probs)
    kept[order] = ranked.masked_fill(drop(ranked), 0.0)
    return kept


def _not_divided(probs, p):
    return _nucleus_with(probs, p, lambda r: r.cumsum(0) - r >= p)


def _stops_short(probs, p):
    kept = _nucleus_with(probs, p, lambda r: r.cumsum(0) >= p)
    return kept / kept.sum() if kept.sum() > 0 else kept


def _each_at_least_p(probs, p):
    kept = probs.masked_fill(probs < p, 0.0)
    return kept / kept.sum() if kept.sum() > 0 else kept


def _from_the_bottom(probs, p):
    ranked, order = probs.sort(stable=True)
    kept = torch.zeros_like(probs)
    kept[order] = ranked.masked_fill(ranked.cumsum(0) - ranked >= p, 0.0)
    return kept / kept.sum()


def _ranked_order(probs, p):
    ranked = probs.sort(descending=True).values
    kept = ranked.masked_fill(ranked.cumsum(0) - ranked >= p, 0.0)
    return kept / kept.sum()


EXERCISES = (
    Exercise(
        id="generation.generate",
        title="The loop",
        stub=generate_stub,
        solution=generate,
        check=check_generate,
        hints=(
            "One step: show the model all there is, get one logit a token, choose one token, "
            "append it. Repeat until the stop token or the limit.",
            "new = []; up to max_new times: logits of prompt + new; argmax at temperature 0, else "
            "a draw from softmax(logits / temperature); append; leave at the stop token.",
            "token = int(torch.multinomial((logits / temperature).softmax(-1), 1, "
            "generator=generator)); new.append(token); if token == stop: break",
        ),
        equivalent_mutants={
            "probs = (logits / temperature).softmax(0) → "
            "probs = (logits / temperature).softmax(-1)": "logits have one axis",
        },
        wrong=(
            Wrong(_reads_prompt_only, "all that was drawn"),
            Wrong(_returns_prompt, "new tokens only"),
            Wrong(_never_stops, "stop after the stop token"),
            Wrong(_drops_stop, "the last of the tokens"),
            Wrong(_multiplies, "divide the logits"),
            Wrong(_always_greedy, "always takes the most probable"),
            Wrong(_ignores_temperature, "no effect"),
            Wrong(_global_chance, "same generator"),
        ),
    ),
    Exercise(
        id="generation.nucleus",
        title="The nucleus",
        stub=nucleus_stub,
        solution=nucleus,
        check=check_nucleus,
        hints=(
            "Rank the tokens. A token is kept if those before it do not reach p yet.",
            "Sort down, cumulative sum, subtract each one's own probability: that is the mass "
            "before it. Zero where it is p or more; put back in place; divide by the sum.",
            "ranked, order = probs.sort(descending=True, stable=True); "
            "before = ranked.cumsum(0) - ranked; kept[order] = ranked.masked_fill(before >= p, 0)",
        ),
        equivalent_mutants={
            "before = ranked.cumsum(0) - ranked → "
            "before = ranked.cumsum(-1) - ranked": "probabilities have one axis",
        },
        wrong=(
            Wrong(_not_divided, "divided by their sum"),
            Wrong(_stops_short, "crosses p"),
            Wrong(_each_at_least_p, "not each one"),
            Wrong(_from_the_bottom, "from the most probable down"),
            Wrong(_ranked_order, "back in their places"),
        ),
    ),
)
