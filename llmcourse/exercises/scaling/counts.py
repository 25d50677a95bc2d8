"""Exercises of `math/scaling` on counting: parameters, and the bytes of a cache."""

from llmcourse.exercises.core import Exercise, Wrong, close
from llmcourse.gptconfig import GPTConfig

__all__ = ["COUNTS"]

# ---- parameters of a GPT-2-like model --------------------------------------------------------


def parameters_stub(layers, width, vocab, context):
    raise NotImplementedError


def parameters(layers, width, vocab, context):
    matrices = 12 * width**2  # 3 + 1 in attention, 4 + 4 in the MLP
    biases = 9 * width  # 3 + 1 and 4 + 1
    norms = 4 * width  # two norms, each with a gain and a bias
    return layers * (matrices + biases + norms) + 2 * width + (vocab + context) * width


def check_parameters(answer):
    for layers, width, vocab, context in ((3, 20, 101, 11), (12, 768, 50_257, 1024)):
        form = GPTConfig.gpt2_form(
            layers=layers, width=width, heads=4, vocab_size=vocab, context=context
        )
        want = form.parameter_count()
        got = answer(layers, width, vocab, context)
        where = f"with {layers} layers of width {width}, {vocab} tokens and {context} places"
        missing = {
            "the biases and norms are missing": 13 * layers * width + 2 * width,
            "the biases are missing, 9 · width a block": 9 * layers * width,
            "the norms are missing": 4 * layers * width + 2 * width,
            "the norms of the blocks are missing, two in each": 4 * layers * width,
            "a norm has a bias beside its gain": 2 * layers * width + width,
            "the final norm has a bias beside its gain": width,
            "the final norm, 2 · width, is missing": 2 * width,
            "attention has four matrices: its output's is missing": layers * width**2,
            "the MLP is 4 · width wide: 8 · width² in its two matrices": 6 * layers * width**2,
            "the table of positions is missing": context * width,
            "embedding and unembedding are one matrix in GPT-2: count it once": -vocab * width,
        }
        close(
            got,
            want,
            f"not the module's own count {where}",
            suspects={f"{what} {where}": want - n for what, n in missing.items()},
            rtol=0,
            atol=0.5,
        )


def _parameters_matrices(layers, width, vocab, context):
    return layers * 12 * width**2 + (vocab + context) * width


def _parameters_no_final(layers, width, vocab, context):
    return parameters(layers, width, vocab, context) - 2 * width


def _parameters_no_places(layers, width, vocab, context):
    return parameters(layers, width, vocab, 0)


def _parameters_untied(layers, width, vocab, context):
    return parameters(layers, width, 2 * vocab, context)


# ---- bytes of a KV cache ---------------------------------------------------------------------


def cache_stub(layers, heads, kv_heads, width, length, bytes_each):
    raise NotImplementedError


def cache(layers, heads, kv_heads, width, length, bytes_each):
    head_width = width // heads
    return 2 * layers * kv_heads * head_width * length * bytes_each


def check_cache(answer):
    for case in ((5, 6, 2, 48, 10, 4), (96, 96, 96, 12288, 2048, 2)):
        layers, heads, kv_heads, width, length, size = case
        want = 2 * layers * (width // heads) * kv_heads * length * size
        close(
            answer(*case),
            want,
            f"wrong for (layers, heads, kv_heads, width, length, bytes_each) = {case}",
            suspects={
                "keys and values are two tensors; only one is counted": want // 2,
                "every query head has keys of its own here; count the kv_heads": 2
                * layers * width * length * size,
                "numbers are counted, not bytes": want // size,
                "one layer only": want // layers,
                "a head's key has width / heads numbers, not width": want * heads,
                "bits are counted, not bytes": want * 8,
            },
            rtol=0,
            atol=0.5,
        )  # fmt: skip


def _cache_keys(layers, heads, kv_heads, width, length, bytes_each):
    return cache(layers, heads, kv_heads, width, length, bytes_each) // 2


def _cache_all_heads(layers, heads, kv_heads, width, length, bytes_each):
    return cache(layers, heads, heads, width, length, bytes_each)


def _cache_width(layers, heads, kv_heads, width, length, bytes_each):
    return cache(layers, 1, kv_heads, width, length, bytes_each)


def _cache_numbers(layers, heads, kv_heads, width, length, bytes_each):
    return cache(layers, heads, kv_heads, width, length, 1)


COUNTS = (
    Exercise(
        id="scaling.parameters",
        title="Every parameter of a GPT-2",
        stub=parameters_stub,
        solution=parameters,
        check=check_parameters,
        hints=(
            "Walk through one block: four matrices of attention, two of the MLP, their biases, "
            "two norms.",
            "A block has 12 width² in matrices, 9 width in biases, 4 width in norms. Outside: the "
            "tokens, the positions, a last norm.",
            "layers * (12 * width**2 + 13 * width) + 2 * width + (vocab + context) * width",
        ),
        wrong=(
            Wrong(_parameters_matrices, "biases and norms are missing"),
            Wrong(_parameters_no_final, "final norm"),
            Wrong(_parameters_no_places, "table of positions"),
            Wrong(_parameters_untied, "one matrix in GPT-2"),
        ),
    ),
    Exercise(
        id="scaling.cache",
        title="Bytes of a KV cache",
        stub=cache_stub,
        solution=cache,
        check=check_cache,
        hints=(
            "Each layer keeps a key and a value for each of its kv_heads at each position.",
            "A head's key has width / heads numbers.",
            "2 * layers * kv_heads * (width // heads) * length * bytes_each",
        ),
        wrong=(
            Wrong(_cache_keys, "only one is counted"),
            Wrong(_cache_all_heads, "count the kv_heads"),
            Wrong(_cache_numbers, "not bytes"),
            Wrong(_cache_width, "not width"),
        ),
    ),
)
