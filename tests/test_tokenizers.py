"""Tokenizers: round trips, equality with Hugging Face's `tokenizers`, and what bad input gets."""

import json
import os
import random
import time
import tracemalloc
import unicodedata
import warnings
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcourse import data, tales
from llmcourse.tokenizers import (
    BPE,
    ByteTokenizer,
    CharTokenizer,
    StreamDecoder,
    TalesTokenizer,
    Tokenizer,
    find_gpt2,
    formats,
    load,
)
from llmcourse.tokenizers import base as base_module
from llmcourse.tokenizers import bpe as bpe_module

hf = pytest.importorskip("tokenizers", reason="the test extra brings the peer we are equal to")

SPECIAL = ("<|end|>", "<|end|><|user|>", "<|user|>", "<|en", "中|>")
DOCS = data.load("python-docs").text
SAMPLE = DOCS[:40_000] + " 三只小熊住在森林里。它们喝粥，粥很烫。 naïve café — 12,345.67 😀😃\n\n"

# Any text that UTF-8 holds, with a taste for what tokenizers get wrong.
AWKWARD = st.one_of(
    st.sampled_from([" ", "  ", "\n", "\t", "\u00a0", "\u3000", "'s", "'re", "'r", "'", "1", "12"]),
    st.sampled_from(["中", "文", "é", "e\u0301", "😀", "\u200b", "\u0378", "\U000e0fff", "the"]),
    st.sampled_from(["a", "<|end|>", "<|e", "|>", "<"]),
)
TEXT = st.one_of(
    st.text(max_size=30),
    st.lists(st.one_of(AWKWARD, st.text(max_size=3)), max_size=14).map("".join),
)


def was_assigned(text: str) -> bool:
    """Libraries disagree about code points newer than their Unicode tables."""
    return all(unicodedata.category(c) != "Cn" for c in text)


@pytest.fixture(scope="module")
def bpe() -> BPE:
    return BPE.train(SAMPLE, vocab_size=700, special_tokens=SPECIAL)


@pytest.fixture(scope="module")
def all_kinds(bpe) -> list[Tokenizer]:
    return [
        bpe,
        ByteTokenizer(SPECIAL),
        CharTokenizer.train(SAMPLE, SPECIAL),
        BPE([bytes([b]) for b in range(256)], []),
        TalesTokenizer(),
    ]


@pytest.fixture(scope="module")
def gpt2(shared_data) -> BPE:
    return BPE.from_gpt2(shared_data / "gpt2_vocab.json", shared_data / "gpt2_merges.txt")


@pytest.fixture(scope="module")
def gpt2_hf(shared_data):
    files = (str(shared_data / "gpt2_vocab.json"), str(shared_data / "gpt2_merges.txt"))
    peer = hf.Tokenizer(hf.models.BPE.from_file(*files))
    peer.pre_tokenizer = hf.pre_tokenizers.ByteLevel(add_prefix_space=False)
    peer.decoder = hf.decoders.ByteLevel()
    peer.add_special_tokens(["<|endoftext|>"])
    return peer


# Round trips.


@settings(max_examples=150, deadline=None)
@given(text=TEXT)
def test_decoding_undoes_encoding(all_kinds, text):
    for tokenizer in all_kinds:
        for allowed in ((), "all"):
            ids = tokenizer.encode(text, allowed)
            assert tokenizer.decode(ids) == text
            assert tokenizer.decode_bytes(ids) == text.encode()
            if not isinstance(tokenizer, TalesTokenizer):  # whose spaces depend on neighbours
                assert b"".join(map(tokenizer.token_bytes, ids)) == text.encode()
            assert all(0 <= i < tokenizer.vocab_size for i in ids)


@settings(max_examples=150, deadline=None)
@given(text=TEXT, cuts=st.lists(st.integers(0, 400), max_size=12))
def test_a_stream_of_chunks_encodes_as_the_whole(all_kinds, text, cuts):
    bounds = sorted({0, len(text), *(c % (len(text) + 1) for c in cuts)})
    chunks = [text[a:b] for a, b in pairwise(bounds)]
    for tokenizer in all_kinds:
        for allowed in ((), "all"):
            assert list(tokenizer.encode_iter(chunks, allowed)) == tokenizer.encode(text, allowed)
            assert list(tokenizer.encode_iter(text, allowed)) == tokenizer.encode(text, allowed)


@settings(max_examples=100, deadline=None)
@given(text=TEXT, noise=st.lists(st.integers(0, 255), max_size=12))
def test_streamed_decoding_joins_to_the_whole_and_never_halves_a_character(bpe, text, noise):
    ids = bpe.encode(text)
    pieces = list(bpe.decode_iter(ids))
    assert "".join(pieces) == text
    assert "\ufffd" in text or not any("\ufffd" in piece for piece in pieces)
    broken = noise + ids + noise  # ids of bytes that are no UTF-8
    assert "".join(bpe.decode_iter(broken)) == bpe.decode(broken)


def test_the_stream_waits_for_the_last_byte():
    stream = StreamDecoder(ByteTokenizer())
    assert [stream.push(i) for i in "é😀".encode()] == ["", "é", "", "", "", "😀"]
    assert stream.push(0xE4) == ""
    assert stream.finish() == "\ufffd"


def test_every_token_survives_text_made_of_tokens(bpe):
    ids = [i for i in range(bpe.vocab_size) if i not in bpe.special_tokens.values()]
    random.Random(0).shuffle(ids)
    assert bpe.decode_bytes(ids) == b"".join(map(bpe.token_bytes, ids))
    assert bpe.decode(ids) == bpe.decode_bytes(ids).decode(errors="replace")


# Training.


def slow_merges(text, n_merges, tie):
    """BPE as it is told: count all pairs, join the most frequent, begin again."""
    words = [[[bytes([b]) for b in word.encode()], n] for word, n in split_counts(text).items()]
    merges = []
    while len(merges) < n_merges:
        counts = Counter()
        for word, n in words:
            for pair in pairwise(word):
                counts[pair] += n
        if not counts:
            break
        most = max(counts.values())
        best = tie([pair for pair, n in counts.items() if n == most], merges)
        merges.append(best)
        for item in words:
            word, joined, at = item[0], [], 0
            while at < len(word):
                pair = tuple(word[at : at + 2])
                joined.append(b"".join(pair) if pair == best else word[at])
                at += 2 if pair == best else 1
            item[0] = joined
    return merges


def split_counts(text):
    return Counter(bpe_module._split(text))


def greatest(pairs, merges):
    return max(pairs)


def as_the_rust_trainer(pairs, merges):
    """Its rule: smallest ids, where bytes are numbered by their printable characters."""
    order = {bytes([b]): (0, formats.BYTE_TO_CHARACTER[b]) for b in range(256)}
    for n, (a, b) in enumerate(merges):
        order.setdefault(a + b, (1, n))
    return min(pairs, key=lambda pair: (order[pair[0]], order[pair[1]]))


def merges_of(tokenizer):
    return [tuple(map(tokenizer.token_bytes, pair)) for pair in tokenizer.merges]


def train_peer(text, vocab_size):
    peer = hf.Tokenizer(hf.models.BPE())
    peer.pre_tokenizer = hf.pre_tokenizers.ByteLevel(add_prefix_space=False)
    peer.decoder = hf.decoders.ByteLevel()
    alphabet = hf.pre_tokenizers.ByteLevel.alphabet()
    trainer = hf.trainers.BpeTrainer(
        vocab_size=vocab_size, show_progress=False, initial_alphabet=alphabet
    )
    peer.train_from_iterator([text], trainer)
    return peer


@settings(max_examples=80, deadline=None)
@given(text=st.text(alphabet="aab 中é1", max_size=60), n=st.integers(0, 30))
def test_incremental_training_equals_counting_afresh(text, n):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokenizer = BPE.train(text, vocab_size=256 + n)
    slow = slow_merges(text, len(tokenizer.merges), greatest)
    assert merges_of(tokenizer) == slow
    assert len({a + b for a, b in slow}) == tokenizer.vocab_size - 256


def test_training_equals_the_slow_way_and_the_rust_trainer_but_for_ties():
    text, n = DOCS[:60_000], 250
    assert merges_of(BPE.train(text, 256 + n)) == slow_merges(text, n, greatest)
    model = json.loads(train_peer(text, 256 + n).to_str())["model"]
    peer = [tuple(map(formats.from_printable, pair)) for pair in model["merges"]]
    assert peer == slow_merges(text, n, as_the_rust_trainer)
    # So the two differ by the tie rule alone, and by little.
    assert len(set(peer) - set(merges_of(BPE.train(text, 256 + n)))) < 0.1 * n


def test_equal_counts_go_to_the_greatest_pair_of_byte_strings():
    assert merges_of(BPE.train("ab cd", 257)) == [(b"c", b"d")]
    # A prefix is smaller than what it begins; pairs compare part by part, not joined.
    assert max([(b"a", b"b"), (b"ab", b"a")]) == (b"ab", b"a")
    keys = sorted([b"", b"a", b"ab", b"b", b"\xff", b"\x00"], key=bpe_module._descending)
    assert keys == sorted(keys, reverse=True)


def test_training_words_encode_to_what_training_made_of_them():
    tokenizer = BPE.train("abababab " * 3 + "aaaa aaa", vocab_size=262)
    assert merges_of(tokenizer)[0] == (b"a", b"b")
    for word in ("abababab", " aaaa", " aaa"):
        assert tokenizer.decode(tokenizer.encode(word)) == word
    assert len(tokenizer.encode("abababab")) < 4


def test_an_iterator_trains_as_its_documents_and_no_token_spans_two():
    documents = DOCS[:30_000].split("\n\n")
    whole = BPE.train(iter(documents), 400)
    assert whole.merges == BPE.train(documents, 400).merges
    assert BPE.train(["ab", "ab"], 257).encode("abab") == [256, 256]
    with pytest.warns(UserWarning, match="257 of 300"):
        BPE.train(["ab", "ab"], 300)


def test_special_tokens_cut_the_training_text_and_are_not_counted():
    tokenizer = BPE.train("ab<|end|>ab<|end|>", 258, ["<|end|>"])
    assert merges_of(tokenizer) == [(b"a", b"b")]
    assert tokenizer.special_tokens == {"<|end|>": 257}


def test_training_stops_early_with_a_note_when_no_pair_is_left():
    with pytest.warns(UserWarning, match="stopped at 257 of 1000 tokens.*no pair is left"):
        tokenizer = BPE.train("ab", vocab_size=1000)
    assert tokenizer.vocab_size == 257
    with pytest.warns(UserWarning, match="stopped at 256"):
        assert BPE.train("", vocab_size=257).encode("é") == [0xC3, 0xA9]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BPE.train("", vocab_size=256)


@pytest.mark.parametrize(("size", "special"), [(255, ()), (0, ()), (-1, ()), (257, ("<a>", "<b>"))])
def test_a_vocabulary_too_small_is_refused(size, special):
    with pytest.raises(ValueError, match=rf"256 \+ {len(special)} special.*got {size}"):
        BPE.train("text", size, special)


# GPT-2, and Hugging Face's file.

GPT2_TEXTS = [
    "Hello world",
    "I'll've they're DON'T 's 'S it's",
    "  leading, trailing  ",
    "tabs\t\tand\r\n\r\nnewlines \n \n x",
    "12345 1,234.5 ½ ² Ⅷ ٣",
    "中文分词和子词切分不是一回事。",
    "naïve e\u0301 ﬁ ß İ",
    "😀👩‍👩‍👧 🇨🇭",
    "def f(x):\n    return x ** 2  # square\n",
    "\u00a0\u3000\u2028x\u0085y\x1c\x1dz",
    " SolidGoldMagikarp",
    "",
]


def test_gpt2_has_the_known_ids(gpt2):
    assert gpt2.vocab_size == 50257
    assert gpt2.special_tokens == {"<|endoftext|>": 50256}
    assert gpt2.encode("Hello world") == [15496, 995]
    assert gpt2.encode("\n") == [198]
    assert gpt2.encode("<|endoftext|>", allowed_special="all") == [50256]
    assert len(gpt2.encode("<|endoftext|>")) == 7


@pytest.mark.parametrize("text", GPT2_TEXTS)
def test_gpt2_equals_hugging_face(gpt2, gpt2_hf, text):
    assert gpt2.encode(text, "all") == gpt2_hf.encode(text).ids
    assert gpt2.decode(gpt2.encode(text)) == text


def test_gpt2_equals_hugging_face_on_long_texts(gpt2, gpt2_hf, shared_data):
    shakespeare = (shared_data / "tinyshakespeare.txt").read_text("utf-8")
    for text in (DOCS[:200_000], shakespeare[:200_000], "ab" * 3000, "z" * 2000, " " * 999 + "x"):
        assert gpt2.encode(text) == gpt2_hf.encode(text).ids


@settings(max_examples=200, deadline=None)
@given(text=TEXT.filter(was_assigned))
def test_gpt2_equals_hugging_face_on_any_text(gpt2, gpt2_hf, text):
    assert gpt2.encode(text, "all") == gpt2_hf.encode(text).ids


def test_gpt2_equals_transformers(gpt2, shared_data):
    transformers = pytest.importorskip("transformers")
    peer = transformers.GPT2Tokenizer(
        str(shared_data / "gpt2_vocab.json"), str(shared_data / "gpt2_merges.txt")
    )
    for text in GPT2_TEXTS:
        assert gpt2.encode(text, "all") == peer(text)["input_ids"]


@settings(max_examples=100, deadline=None)
@given(text=TEXT.filter(was_assigned))
def test_the_exported_file_gives_equal_ids(exported, text):
    ours, peer = exported
    ids = peer.encode(text).ids
    assert ids == ours.encode(text, "all")
    assert peer.decode(ids, skip_special_tokens=False) == ours.decode(ids)


@pytest.fixture(scope="module")
def exported(bpe, tmp_path_factory):
    path = tmp_path_factory.mktemp("hf") / "tokenizer.json"
    bpe.to_hf(path)
    return bpe, hf.Tokenizer.from_file(str(path))


def test_the_exported_gpt2_is_gpt2(gpt2, tmp_path):
    gpt2.to_hf(tmp_path / "tokenizer.json")
    peer = hf.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in [*GPT2_TEXTS, DOCS[:20_000], "a<|endoftext|>b"]:
        assert peer.encode(text).ids == gpt2.encode(text, "all")


def same(one, other):
    return (one._tokens, one.merges, one.special_tokens) == (
        other._tokens,
        other.merges,
        other.special_tokens,
    )


def test_both_foreign_formats_come_back_as_they_went(bpe, tmp_path):
    bpe.to_hf(tmp_path / "tokenizer.json")
    assert same(BPE.from_hf(tmp_path / "tokenizer.json"), bpe)
    bpe.to_gpt2(tmp_path / "vocab.json", tmp_path / "merges.txt")
    assert same(BPE.from_gpt2(tmp_path / "vocab.json", tmp_path / "merges.txt"), bpe)


def test_what_the_peer_writes_we_read(exported, tmp_path):
    bpe, peer = exported
    peer.save(str(tmp_path / "tokenizer.json"))  # the peer's own way of writing
    assert same(BPE.from_hf(tmp_path / "tokenizer.json"), bpe)


@pytest.mark.parametrize(
    "part, value, named",
    [
        ("normalizer", {"type": "NFC"}, "normalizer must be None"),
        ("model", {"type": "Unigram"}, "model.type must be 'BPE'"),
        ("pre_tokenizer", {"type": "Whitespace"}, "pre_tokenizer.type must be 'ByteLevel'"),
        (
            "pre_tokenizer",
            {"type": "ByteLevel", "add_prefix_space": True},
            "pre_tokenizer.add_prefix_space must be False",
        ),
    ],
)
def test_a_tokenizer_json_that_means_something_else_is_refused(bpe, tmp_path, part, value, named):
    path = tmp_path / "tokenizer.json"
    bpe.to_hf(path)
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {part: value}), "utf-8")
    with pytest.raises(ValueError, match=named):
        BPE.from_hf(path)


def test_gpt2_is_found_in_the_data_folder_and_in_the_hub_cache(shared_data, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "cache_dir", lambda: tmp_path / "none")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("LLMCOURSE_DATA", raising=False)
    assert find_gpt2() is None
    snapshot = tmp_path / "models--gpt2" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "vocab.json").symlink_to(shared_data.resolve() / "gpt2_vocab.json")
    assert find_gpt2() is None  # half of it is not enough
    (snapshot / "merges.txt").symlink_to(shared_data.resolve() / "gpt2_merges.txt")
    assert find_gpt2().encode("Hello world") == [15496, 995]
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv("LLMCOURSE_DATA", str(shared_data))
    assert find_gpt2().vocab_size == 50257


def test_gpt2_files_that_do_not_fit_are_refused(tmp_path):
    vocab, merges = tmp_path / "vocab.json", tmp_path / "merges.txt"
    vocab.write_text(json.dumps({"a": 0, "b": 2}), "utf-8")
    merges.write_text("#version: 0.2\n", "utf-8")
    with pytest.raises(ValueError, match="ids must be 0 to 1"):
        BPE.from_gpt2(vocab, merges)
    characters = formats.BYTE_TO_CHARACTER
    vocab.write_text(json.dumps({c: i for i, c in enumerate(characters)}), "utf-8")
    assert BPE.from_gpt2(vocab, merges).encode("a b") == [97, 32, 98]
    merges.write_text("#version: 0.2\na bb\n", "utf-8")
    with pytest.raises(ValueError, match="merge 'a bb'"):
        BPE.from_gpt2(vocab, merges)
    merges.write_text("#version: 0.2\na b\n", "utf-8")
    with pytest.raises(ValueError, match="merge 0 makes b'ab', which is no token"):
        BPE.from_gpt2(vocab, merges)


# Special tokens.


def test_special_tokens_in_text_are_text_unless_allowed(all_kinds):
    for tokenizer in all_kinds[:3]:
        end = tokenizer.special_tokens["<|end|>"]
        assert end not in tokenizer.encode("a<|end|>b")
        assert tokenizer.encode("a<|end|>b", {"<|end|>"}).count(end) == 1
        assert tokenizer.decode([end]) == "<|end|>"


def test_of_overlapping_special_tokens_the_longest_wins(bpe):
    special = bpe.special_tokens
    assert bpe.encode("<|end|><|user|>", "all") == [special["<|end|><|user|>"]]
    two = bpe.encode("<|end|><|user|>", ["<|user|>", "<|end|>"])
    assert two == [special["<|end|>"], special["<|user|>"]]
    # The leftmost comes first, even where one that begins later is longer.
    assert bpe.encode("<|en中|>", "all") == [special["<|en"], special["中|>"]]
    for text in ("<|end|><|user|>", "<|end|><|use", "<|en中|>"):
        assert list(bpe.encode_iter(text, "all")) == bpe.encode(text, "all")


def test_special_tokens_are_checked(bpe):
    with pytest.raises(ValueError, match=r"must name special tokens.*got '<\|pad\|>'"):
        bpe.encode("x", ["<|pad|>"])
    with pytest.raises(ValueError, match="it has none"):
        ByteTokenizer().encode("x", ["<|pad|>"])
    with pytest.raises(ValueError, match="'all' or a collection"):
        bpe.encode("x", "<|end|>")
    for make in (
        ByteTokenizer,
        lambda s: BPE.train("x", 256 + len(s), s),
        lambda s: CharTokenizer("x", s),
    ):
        with pytest.raises(ValueError, match="more than once"):
            make(["<a>", "<a>"])
        with pytest.raises(ValueError, match="must not be empty or equal"):
            make([""])
        with pytest.raises(ValueError, match="must not be empty or equal"):
            make(["x"])


# Bad and hostile input.


@pytest.mark.parametrize("surrogate", ["\ud83d", "\ude00", "ok \udfff"])
def test_lone_surrogates_are_refused(all_kinds, surrogate):
    for tokenizer in all_kinds:
        with pytest.raises(ValueError, match=r"lone surrogate U\+D[8-F]"):
            tokenizer.encode(surrogate)
        with pytest.raises(ValueError, match="lone surrogate"):
            list(tokenizer.encode_iter(["fine\n", surrogate]))
    with pytest.raises(ValueError, match="lone surrogate"):
        BPE.train(surrogate, 300)
    with pytest.raises(ValueError, match="lone surrogate"):
        CharTokenizer.train(surrogate)


@pytest.mark.parametrize("bad", [-1, 10**9])
def test_ids_out_of_range_are_refused(all_kinds, bad):
    for tokenizer in all_kinds:
        message = rf"ids must be in \[0, {tokenizer.vocab_size}\), got {bad} at position 1"
        for read in (tokenizer.decode, tokenizer.decode_bytes):
            with pytest.raises(ValueError, match=message):
                read([0, bad])
        with pytest.raises(ValueError, match="ids must be in"):
            tokenizer.token_bytes(bad)
        with pytest.raises(ValueError, match="ids must be in"):
            list(tokenizer.decode_iter([0, bad]))
    with pytest.raises(TypeError):
        ByteTokenizer().decode([1.5])


def test_ids_may_be_numpy_or_torch(bpe):
    ids = bpe.encode("hello there")
    assert bpe.decode(np.array(ids)) == bpe.decode(torch.tensor(ids)) == "hello there"


def test_bytes_that_are_no_utf8_decode_to_the_replacement_character():
    assert ByteTokenizer().decode([0xFF, 0x41, 0xE4, 0xBD]) == "\ufffdA\ufffd"


HOSTILE = {
    "one letter": lambda n: "a" * n,
    "spaces": lambda n: " " * n,
    "spaces then a letter": lambda n: " " * n + "x",
    "newlines and spaces": lambda n: "\n " * (n // 2),
    "quotes": lambda n: "'" * n,
    "unassigned": lambda n: "\U000e0fff" * (n // 4),
    "random letters": lambda n: "".join(random.Random(0).choices("etaoin", k=n)),
    "half a special token": lambda n: "<|en" * (n // 4),
    "a foreign letter a line": lambda n: "aé\n" * (n // 3),
    "a foreign letter a word": lambda n: "é a " * (n // 4),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_costs_linear_time(bpe, name):
    # Quadratic cost would multiply by 64 where n log n multiplies by about 10.
    times = []
    for n in (25_000, 200_000):
        text = HOSTILE[name](n)
        bpe._words.clear()
        start = time.process_time()
        ids = bpe.encode(text)
        times.append(time.process_time() - start)
        assert bpe.decode(ids) == text
    assert times[1] < 32 * times[0] + 0.05


def test_a_million_of_one_letter_encodes_trains_and_streams(bpe):
    text = "a" * 1_000_000
    start = time.process_time()
    ids = bpe.encode(text)
    assert bpe.decode(ids) == text
    assert list(bpe.encode_iter([text[:1000]] * 200)) == bpe.encode(text[:200_000])
    assert BPE.train(text[:200_000], 270).encode("a" * 2**14) == [269]
    assert time.process_time() - start < 20  # a quadratic loop would take hours


@settings(max_examples=400, deadline=None)
@given(
    text=st.one_of(
        TEXT, st.text(alphabet="aZ 1\n\t\r\x0b\x1c\x1f\x85\u3000'stmrel.\u00e9\u4e2d", max_size=40)
    )
)
def test_the_fast_split_is_gpt2s(text):
    assert bpe_module._split(text) == bpe_module._split_any(text)


def test_the_fast_split_is_gpt2s_on_long_text():
    mixed = SAMPLE + DOCS[-40_000:] + "é\n" * 99 + "\n \n".join(DOCS[:9_000].split("e")) + "é"
    for text in (DOCS, mixed, mixed.replace("\n", " "), mixed.replace(" ", "\n")):
        assert bpe_module._split(text) == bpe_module._split_any(text)


@settings(max_examples=60, deadline=None)
@given(word=st.text(alphabet="aabtheinrst", min_size=1, max_size=200))
def test_the_heap_joins_as_the_plain_loop(bpe, word):
    ids = [bpe._byte_id[b] for b in word.encode()]
    plain, long = bpe_module._LONG, list(ids)
    try:
        bpe_module._LONG = 10**9
        assert bpe._merge_long(long) == bpe._merge(word)
    finally:
        bpe_module._LONG = plain


@pytest.mark.parametrize("kind", ["bpe", "byte", "char", "tales"])
def test_encoding_a_long_line_stream_holds_under_a_megabyte(kind):
    tokenizer = {
        "bpe": BPE.train(DOCS, 512, SPECIAL),
        "byte": ByteTokenizer(),
        "char": CharTokenizer.train(DOCS),
        "tales": TalesTokenizer(),
    }[kind]
    random_words = random.Random(0)

    def lines():
        for n in range(1500):  # ever new words, so that a growing memory would show
            yield f"line {n} {random_words.getrandbits(60):x} é 中文 {n * n}\n"

    tracemalloc.start()
    try:
        count = sum(1 for _ in tokenizer.encode_iter(lines(), tuple(tokenizer.special_tokens)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count > 20_000
    assert peak < 1_000_000


def test_words_remembered_are_bounded(bpe):
    words = bpe_module._Words(bpe._merge, 10)
    for n in range(100):
        assert words[f" w{n}"] == bpe._merge(f" w{n}")
        assert len(words) <= 10


# Files.


def test_save_and_load(all_kinds, tmp_path):
    extra = [CharTokenizer.train("héllo", fallback=False)]
    for n, tokenizer in enumerate([*extra, *all_kinds]):
        path = tmp_path / f"{n}.json"
        tokenizer.save(path)
        again = load(path)
        assert type(again) is type(tokenizer)
        assert again.vocab_size == tokenizer.vocab_size
        assert again.special_tokens == tokenizer.special_tokens
        text = "héllo" if n == 0 else SAMPLE[-3000:] + "<|end|>" * 2
        assert again.encode(text, "all") == tokenizer.encode(text, "all")
        again.save(tmp_path / "again.json")
        assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_gpt2_survives_save_and_load(gpt2, tmp_path):
    gpt2.save(tmp_path / "gpt2.json")
    again = load(tmp_path / "gpt2.json")
    assert (again.merges, again.special_tokens) == (gpt2.merges, gpt2.special_tokens)
    assert again.encode(DOCS[:5000]) == gpt2.encode(DOCS[:5000])


def test_a_failed_save_leaves_the_old_file_whole_and_nothing_beside_it(bpe, tmp_path, monkeypatch):
    path = tmp_path / "tokenizer.json"
    bpe.save(path)
    before = path.read_bytes()

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(base_module.os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        ByteTokenizer().save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["tokenizer.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x04K\x01.", "is JSON with format"),  # a pickle
        (b"{}", "is JSON with format"),
        (b"[1]", "is JSON with format"),
        (b'{"format": "llmcourse.tokenizer", "version": 99}', "version must be 1, got 99"),
        (b'{"format": "llmcourse.tokenizer", "version": 1, "kind": "x"}', "kind must be one of"),
        (b'{"format": "llmcourse.tokenizer", "version": 1, "kind": "bpe"}', "is damaged"),
    ],
)
def test_files_that_are_no_tokenizer_are_refused(tmp_path, content, message):
    (tmp_path / "t.json").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "t.json")


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.json")


def test_vocabularies_that_cannot_encode_are_refused():
    with pytest.raises(ValueError, match="every byte needs a token, got none for 0x07"):
        BPE([bytes([b]) for b in range(256) if b != 7], [])
    with pytest.raises(ValueError, match="two ids have the same bytes"):
        BPE([*(bytes([b]) for b in range(256)), b"a"], [])
    with pytest.raises(ValueError, match="makes b'ab', which is no token"):
        BPE([bytes([b]) for b in range(256)], [(97, 98)])


# Characters.


def test_characters_without_fallback_are_their_own_small_vocabulary():
    tokenizer = CharTokenizer.train("hello wörld", fallback=False)
    assert tokenizer.vocab_size == len(set("hello wörld"))
    assert tokenizer.encode(" d") == [0, 1]
    with pytest.raises(ValueError, match="got 'z' at character 1"):
        tokenizer.encode("hz")
    with pytest.raises(ValueError, match="needs a text"):
        CharTokenizer.train("", fallback=False)


def test_characters_with_fallback_spell_the_unseen_in_bytes():
    tokenizer = CharTokenizer.train(["中文", "ab"])
    assert tokenizer.vocab_size == 258
    assert tokenizer.encode("a中é") == [97, 256, 0xC3, 0xA9]


# The words of the tales.

WORDS = TalesTokenizer()
TALE = st.one_of(
    TEXT,
    st.lists(
        st.one_of(
            st.sampled_from([*WORDS.words["en"], *WORDS.words["zh"]]),
            st.sampled_from([" ", "\n", ".", ". ", ", ", "She ran.", "she", "!", " “", "”", "。"]),
            AWKWARD,
        ),
        max_size=12,
    ).map("".join),
    st.lists(st.sampled_from(WORDS.words["en"]), max_size=12).map(" ".join),
)


@settings(max_examples=150, deadline=None)
@given(text=TALE)
def test_any_text_survives_the_words_of_the_tales(text):
    for allowed in ((), "all"):
        ids = WORDS.encode(text, allowed)
        assert WORDS.decode(ids) == text
        assert "".join(WORDS.decode_iter(ids)) == text
        assert list(WORDS.encode_iter(text, allowed)) == ids


@settings(max_examples=100, deadline=None)
@given(ids=st.lists(st.integers(0, WORDS.vocab_size - 1), max_size=30))
def test_any_ids_have_one_text_streamed_or_whole(ids):
    assert "".join(WORDS.decode_iter(ids)) == WORDS.decode(ids)


@pytest.mark.parametrize("language", tales.LANGUAGES)
@pytest.mark.parametrize("split", ["train", "held-out"])
def test_a_story_costs_one_id_a_token_of_the_grammar(language, split):
    for story in tales.generate(seed=7, n=60, language=language, split=split):
        ids = WORDS.encode(story.text)
        assert ids == WORDS.encode_tokens(story.tokens)
        assert WORDS.decode(ids) == story.text == tales.detokenize(story.tokens, language)
        mark, end = f"<|{language}|>", "<|end|>"
        whole = WORDS.encode_story(story)
        assert whole == [WORDS.special_tokens[mark], *ids, WORDS.special_tokens[end]]
        assert WORDS.encode(mark + story.text + end, "all") == whole
        assert [WORDS.token_bytes(i).decode() for i in ids] == list(story.tokens)


def test_a_prompt_is_the_beginning_of_the_story_that_it_begins():
    story = tales.generate(seed=3, n=1)[0]
    ids = WORDS.encode_tokens(story.tokens)
    for n in range(1, len(ids)):
        assert WORDS.encode(WORDS.decode(ids[:n])) == ids[:n]


def test_words_outside_the_tales_are_bytes_and_those_inside_stay_words():
    ids = WORDS.encode("She xylographed the castle.")
    names = [WORDS.token_bytes(i) for i in ids]
    assert names[0] == b"she"
    assert names[-3:] == [b"the", b"castle", b"."]
    assert ids[1] == 8 + ord(" ")
    assert WORDS.encode("he")[0] < 264  # a small letter where a story has a capital
    assert all(i < 264 for i in WORDS.encode("Theodolite"))  # holds "the", but is another word


def test_the_vocabulary_is_special_tokens_bytes_and_words():
    assert list(WORDS.special_tokens) == [
        *("<|pad|>", "<|end|>", "<|en|>", "<|zh|>"),
        *("<|user|>", "<|assistant|>", "<|system|>", "<|tool|>"),
    ]
    assert list(WORDS.special_tokens.values()) == list(range(8))
    assert [WORDS.token_bytes(8 + b) for b in range(256)] == [bytes([b]) for b in range(256)]
    words = {*tales.terminals("en"), *tales.terminals("zh")}
    assert WORDS.vocab_size == 8 + 256 + len(words)
    with pytest.raises(ValueError, match="token 1 must be a word of the tales, got 'zebra'"):
        WORDS.encode_tokens(["she", "zebra"])
