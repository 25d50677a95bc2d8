"""Laws of search: BM25 equal to a kept library's, chunks that lose nothing, vectors, fusion."""

import itertools
import math
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcourse import data, retrieval
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.retrieval import BM25

TEXTS = [
    "The cat sat on the mat.",
    "A dog ran home, and the cat ran after the dog.",
    "住在海边的面包师丢了铃铛。",
    "",
    "dog dog dog",
]


@pytest.mark.parametrize(("k1", "b"), [(1.5, 0.75), (0.9, 0.4), (0.0, 0.0), (2.0, 1.0)])
def test_scores_equal_bm25s(k1, b):
    bm25s = pytest.importorskip("bm25s", reason="the peer whose scores ours equal")
    texts = [p for d in data.load("python-docs").documents[:8] for p in d.split("\n\n")] + TEXTS
    tokens = [retrieval.words(t) for t in texts]
    peer = bm25s.BM25(k1=k1, b=b, method="lucene", dtype="float64")
    peer.index(tokens, show_progress=False)
    ours = BM25(texts, k1=k1, b=b)
    for query in (
        "the cat and the dog",
        "assignment target list",
        "住在海边",
        "dog dog cat",
        "value",
    ):
        theirs = peer.get_scores(retrieval.words(query))
        np.testing.assert_allclose(ours.scores(query), theirs, rtol=1e-6, atol=1e-9)


def test_scores_equal_the_formula_written_out():
    index, N = BM25(TEXTS, k1=1.2, b=0.6), len(TEXTS)
    held = [retrieval.words(t) for t in TEXTS]
    mean = sum(map(len, held)) / N
    for i, words in enumerate(held):
        want = 0.0
        for w in ("dog", "cat", "dog", "unheard"):
            n = sum(w in h for h in held)
            f = words.count(w)
            idf = math.log(1 + (N - n + 0.5) / (n + 0.5))
            want += idf * f / (f + 1.2 * (1 - 0.6 + 0.6 * len(words) / mean)) if f else 0.0
        assert index.scores("Dog, cat dog? unheard")[i] == pytest.approx(want)


def test_search_gives_only_what_shares_a_word_and_ties_in_order():
    index = BM25(["a b", "b c", "a b", "d"])
    assert index.search("a", 10) == [0, 2]
    assert index.search("zebra", 10) == []
    assert index.search("a b", 1) == [0]


@pytest.mark.parametrize("query", ["", "\x00\x01\x1b[2J\r\n", "\u200b\u202e", "?!…", "\ud800"])
def test_a_query_without_words_finds_nothing(query):
    assert BM25(TEXTS).search(query, 3) == []


def test_bad_corpora_and_settings_are_named():
    with pytest.raises(ValueError, match="at least one document"):
        BM25([])
    with pytest.raises(ValueError, match="list of at least one"):
        BM25("one text")
    with pytest.raises(ValueError, match="k1 must be"):
        BM25(TEXTS, k1=-1)
    with pytest.raises(ValueError, match="at least one document"):
        retrieval.Dense(np.zeros((0, 3), dtype=np.float32))
    with pytest.raises(ValueError, match="k must be"):
        BM25(TEXTS).search("cat", 0)
    assert BM25(["", "\x00"]).search("cat", 3) == []  # no words at all


def test_duplicates_crowd_the_top_and_distinct_drops_them():
    texts = ["the bell rang", " the  bell\nrang ", "the bell rang", "a bell"]
    assert BM25(texts).search("the bell", 2) == [0, 1]
    kept = retrieval.distinct(texts)
    assert kept == [0, 3]
    assert BM25([texts[i] for i in kept]).search("the bell", 2) == [0, 1]


@given(st.text(alphabet="ab.!?。” \n", max_size=60), st.integers(1, 4), st.data())
@settings(max_examples=150, deadline=None)
def test_chunks_cover_all_sentences_in_windows_of_their_size(text, size, more):
    overlap = more.draw(st.integers(0, size - 1))
    spans = retrieval.sentences(text)
    covered = "".join(text[a:b] for a, b in spans)
    assert "".join(covered.split()) == "".join(text.split())
    cut = retrieval.chunks(text, size=size, overlap=overlap)
    starts, ends = [a for a, _ in spans], [b for _, b in spans]
    places = [(starts.index(a), ends.index(b) + 1) for a, b in cut]
    assert {i for a, b in places for i in range(a, b)} == set(range(len(spans)))
    assert all(b - a == size for a, b in places[:-1])
    assert all(y[0] - x[0] == size - overlap for x, y in itertools.pairwise(places))
    assert len({b for _, b in places}) == len(places)


def test_chunks_name_what_is_wrong():
    with pytest.raises(ValueError, match="overlap < size"):
        retrieval.chunks("A. B.", size=2, overlap=2)
    assert retrieval.chunks(" \n", size=2) == []


def test_fusion_is_the_sum_of_reciprocal_ranks():
    assert retrieval.fuse([[3, 1, 2], [1, 3]], k=3) == [1, 3, 2]
    assert retrieval.fuse([[7], []], k=5) == [7]
    lists = [random.Random(i).sample(range(9), 6) for i in range(3)]
    score = {d: sum(1 / (61 + r.index(d)) for r in lists if d in r) for d in range(9)}
    want = sorted((d for d in score if score[d]), key=lambda d: (-score[d], d))
    assert retrieval.fuse(lists, k=9) == want


def test_cloze_takes_one_sentence_out_and_knows_its_document():
    texts = ["One two three. Four five six seven. Eight nine ten.", "Short.", "A b. C d. E f g h."]
    made = retrieval.cloze(texts, seed=1, fewest=4)
    assert made.gold == (0, 2) and len(made.documents) == 3 and made.documents[1] == "Short."
    for query, g in zip(made.queries, made.gold, strict=True):
        assert query in texts[g] and query not in made.documents[g]
        assert sorted((made.documents[g] + " " + query).split()) == sorted(texts[g].split())
    half = retrieval.cloze(texts, seed=1, fewest=4, keep=0.5)
    assert half.documents == made.documents
    for short, whole in zip(half.queries, made.queries, strict=True):
        assert len(short.split()) == round(len(whole.split()) / 2)
    with pytest.raises(ValueError, match="keep"):
        retrieval.cloze(texts, seed=0, keep=0)


@pytest.fixture(scope="module")
def model():
    config = GPTConfig.modern(vocab_size=40, context=16, width=16, heads=2, layers=2)
    return GPT(config, seed=0)


def test_vectors_are_unit_means_and_padding_changes_nothing(model):
    rows = [[1, 2, 3], [4, 5, 6, 7, 8, 9], [3]]
    together = retrieval.embed(model, rows)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for row, vector in zip(rows, together, strict=True):
        states = model.norm(model.trace(torch.tensor([row])).residual[-1])
        want = F.normalize(states[0].mean(0), dim=0)
        np.testing.assert_allclose(vector, want.detach().numpy(), atol=1e-5)
    with pytest.raises(ValueError, match="longer than the context"):
        retrieval.embed(model, [list(range(17))])
    with pytest.raises(ValueError, match="at least one token"):
        retrieval.embed(model, [[]])


def test_first_layers_compute_the_model_s_own_states(model):
    short = retrieval.first_layers(model, 1)
    ids = torch.tensor([[5, 6, 7]])
    torch.testing.assert_close(short.trace(ids).residual[1], model.trace(ids).residual[1])
    with pytest.raises(ValueError, match=r"1\.\.2"):
        retrieval.first_layers(model, 3)


def test_info_nce_is_the_cross_entropy_written_out():
    g = torch.Generator().manual_seed(0)
    q, d = F.normalize(torch.randn(2, 5, 3, generator=g, dtype=torch.float64), dim=-1)
    want = -sum(
        math.log(math.exp(q[i] @ d[i] / 0.2) / sum(math.exp(q[i] @ d[j] / 0.2) for j in range(5)))
        for i in range(5)
    )
    assert float(retrieval.info_nce(q, d, 0.2)) == pytest.approx(want / 5)
    with pytest.raises(ValueError, match="temperature"):
        retrieval.info_nce(q, d, 0.0)


def test_contrast_brings_a_query_to_its_document(model):
    # Query: the token i. Document: the token 30 − i among three that all documents hold.
    def step(number):
        rng = random.Random(number)
        own = rng.sample(range(1, 30), 12)
        return [[i] for i in own], [rng.sample([30 - i, 31, 32, 33], 4) for i in own]

    encoder = retrieval.first_layers(model, 1)
    seen = []
    retrieval.contrast(encoder, step, steps=100, lr=1e-2, on_step=lambda _, x: seen.append(x))
    asked, told = step(1000)
    index = retrieval.Dense(retrieval.embed(encoder, told))
    found = [index.search(v, 1)[0] for v in retrieval.embed(encoder, asked)]
    assert np.mean(seen[-5:]) < 0.1 * seen[0]
    assert np.mean([f == i for i, f in enumerate(found)]) > 0.8


@given(
    st.lists(st.text(alphabet="ab .", min_size=1).filter(str.strip), min_size=1), st.integers(1, 6)
)
def test_passages_lose_nothing_and_are_long_enough(paragraphs, fewest):
    paragraphs = [p.strip() for p in paragraphs]
    found = retrieval.passages("\n\n".join(paragraphs), fewest)
    assert "\n\n".join(found) == "\n\n".join(paragraphs)
    assert len(found) == 1 or all(len(retrieval.words(p)) >= fewest for p in found)
