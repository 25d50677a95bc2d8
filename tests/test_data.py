"""Laws of the corpora: the same text each time, honest splits, nothing half-written."""

import errno
import hashlib
import http.server
import re
import threading
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcourse import data

BODY = bytes(range(32, 127)) * 3000  # 285,000 bytes: several blocks


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "cache_dir", lambda: tmp_path / "cache")
    monkeypatch.delenv("LLMCOURSE_DATA", raising=False)
    return tmp_path / "cache"


class Server:
    """An HTTP server with the weaknesses of real ones, on this machine."""

    def __init__(self):
        self.body, self.cut, self.ranges, self.asked = BODY, None, True, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked = self.headers.get("Range")
                outer.asked.append(asked)
                start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked else 0
                start = start if outer.ranges else 0
                if start >= len(outer.body):
                    return self.send_error(416)
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(outer.body) - start))
                self.end_headers()
                self.wfile.write(outer.body[start : outer.cut])
                return None

            def log_message(self, *args):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/input.txt"


@pytest.fixture
def server(monkeypatch, empty_cache):
    server = Server()
    remote = data.Remote(
        url=server.url,
        sha256=hashlib.sha256(BODY).hexdigest(),
        filename="tinyshakespeare.txt",
        licence="none",
        source="a test",
    )
    monkeypatch.setitem(data.REMOTE, "tinyshakespeare", remote)
    yield server
    server.http.shutdown()
    server.http.server_close()


def test_python_docs_is_here_and_says_what_it_is():
    corpus = data.load("python-docs")
    assert 200_000 < corpus.n_bytes < 2_000_000
    assert corpus.sha256 == hashlib.sha256(corpus.text.encode()).hexdigest()
    assert corpus.sha256[:12] in repr(corpus) and "PSF" in repr(corpus)
    assert data.load("python-docs").text == corpus.text
    paragraphs = corpus.text.replace("\n\n\n", "\n\n").split("\n\n")
    assert len(paragraphs) == len(set(paragraphs))
    assert len(data.load("python-docs", repeats=True).text) > len(corpus.text)
    # The text alone leads back to the same documents.
    assert data._documents(corpus.text) == (corpus.documents, corpus.separator)


def test_a_split_shares_nothing_and_loses_nothing():
    corpus = data.load("python-docs")
    parts = data.split(corpus)
    assert parts == data.split(corpus.text)
    documents = [part.split(corpus.separator) for part in parts]
    assert sorted(chain(*documents)) == sorted(corpus.documents)
    lines = [{p for p in part.replace("\n\n\n", "\n\n").split("\n\n")} for part in parts]
    assert not (lines[0] & lines[1] or lines[0] & lines[2] or lines[1] & lines[2])
    shares = [len(part) / len(corpus.text) for part in parts]
    assert shares == pytest.approx([0.9, 0.05, 0.05], abs=0.02)
    assert data.split(corpus, seed=1) != parts


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("abc ", min_size=1), min_size=3, max_size=30), st.integers(0, 5))
def test_split_is_a_partition_of_distinct_documents(documents, seed):
    corpus = data.Corpus(
        name="x", documents=tuple(documents), separator="\n\n", licence="", source=""
    )
    if len(set(documents)) < 3:
        with pytest.raises(ValueError, match="as many distinct documents"):
            data.split(corpus, seed=seed)
        return
    parts = [part.split("\n\n") for part in data.split(corpus, (0.5, 0.25, 0.25), seed=seed)]
    assert sorted(chain(*parts)) == sorted(documents)
    assert not set(parts[0]) & set(parts[1])
    assert not (set(parts[0]) | set(parts[1])) & set(parts[2])


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.9, 0.2, -0.1), (0.5, 0.1, 0.1)])
def test_fractions_must_be_shares(fractions):
    with pytest.raises(ValueError, match="three shares that sum to 1"):
        data.split("a\n\nb\n\nc", fractions)


def test_no_test_part_when_none_is_asked_for():
    train, dev, test = data.split("a\n\nbb\n\nccc", (0.5, 0.5, 0.0))
    assert train and dev and not test


def test_own_files(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_bytes("\ufeffone\r\n\r\ntwo\r\n\r\n三".encode())
    corpus = data.read(path)
    assert corpus.text == "one\n\ntwo\n\n三" and corpus.name == "mine"
    path.write_bytes(b"ok \xff")
    with pytest.raises(ValueError, match="byte 3 is 0xff"):
        data.read(path)
    path.write_bytes(b" \n")
    with pytest.raises(ValueError, match="holds no text"):
        data.read(path)


def test_an_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match="python-docs, tales, tinyshakespeare"):
        data.load("wikipedia")


def test_tales_corpus():
    pytest.importorskip("llmcourse.tales")
    corpus = data.load("tales", n=20, seed=1)
    assert len(corpus.documents) == 20
    assert corpus.text == data.load("tales", n=20, seed=1).text
    assert corpus.text != data.load("tales", n=20, seed=2).text


def test_real_shakespeare(shared_data, monkeypatch, empty_cache):
    monkeypatch.setenv("LLMCOURSE_DATA", str(shared_data))
    if data.local("tinyshakespeare.txt") is None:
        pytest.skip(f"no tinyshakespeare.txt in {shared_data}")
    corpus = data.load("tinyshakespeare")
    assert corpus.sha256 == data.REMOTE["tinyshakespeare"].sha256
    assert corpus.n_bytes == 1_115_394
    assert not empty_cache.exists()  # nothing was downloaded


def test_download_once(server, empty_cache, capsys):
    assert data.load("tinyshakespeare").text == BODY.decode()
    assert "285k/285k" in capsys.readouterr().err  # the progress bar
    assert data.load("tinyshakespeare").n_bytes == len(BODY)
    assert len(server.asked) == 1
    assert [p.name for p in empty_cache.iterdir()] == ["tinyshakespeare.txt"]


@pytest.mark.parametrize("ranges", [True, False])
def test_an_interrupted_download_goes_on(server, empty_cache, ranges):
    server.cut = 100_000
    with pytest.raises(data.Unavailable, match="ended at byte 100000 of 285000"):
        data.load("tinyshakespeare")
    assert [p.name for p in empty_cache.iterdir()] == ["tinyshakespeare.txt.part"]
    server.cut, server.ranges = None, ranges
    assert data.load("tinyshakespeare").text == BODY.decode()
    assert server.asked == [None, "bytes=100000-"]


def test_a_complete_partial_file_is_taken(server, empty_cache):
    empty_cache.mkdir()
    (empty_cache / "tinyshakespeare.txt.part").write_bytes(BODY)
    assert data.load("tinyshakespeare").n_bytes == len(BODY)


def test_a_stale_partial_file_is_fetched_afresh(server, empty_cache):
    empty_cache.mkdir()
    (empty_cache / "tinyshakespeare.txt.part").write_bytes(b"?" * 1000)
    assert data.load("tinyshakespeare").text == BODY.decode()
    assert server.asked == ["bytes=1000-", None]


def test_a_wrong_hash_leaves_nothing(server, empty_cache):
    server.body = BODY[:-1] + b"!"
    with pytest.raises(data.Unavailable, match=r"SHA-256 must be .* nothing was kept"):
        data.load("tinyshakespeare")
    assert not list(empty_cache.iterdir())


def test_a_full_disk_leaves_nothing(server, empty_cache, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(data.os, "fsync", full)
    with pytest.raises(data.Unavailable, match="No space left on device"):
        data.load("tinyshakespeare")
    assert not list(empty_cache.iterdir())


def test_without_a_network_the_built_in_text_is_named(server, empty_cache):
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(data.Unavailable, match=r'data\.load\("python-docs"\)'):
        data.load("tinyshakespeare")
    assert not list(empty_cache.iterdir())


def test_the_named_folder_comes_first(server, empty_cache, tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    folder.mkdir()
    monkeypatch.setenv("LLMCOURSE_DATA", str(folder))
    (folder / "tinyshakespeare.txt").write_bytes(BODY)
    assert data.local("tinyshakespeare.txt") == folder / "tinyshakespeare.txt"
    assert data.local("other.txt") is None
    assert data.load("tinyshakespeare").n_bytes == len(BODY)
    (folder / "tinyshakespeare.txt").write_bytes(b"other")
    with pytest.raises(ValueError, match="not the file meant"):
        data.load("tinyshakespeare")
    assert not server.asked
    monkeypatch.setenv("LLMCOURSE_DATA", str(folder / "none"))
    with pytest.raises(ValueError, match="must name a folder"):
        data.local("x")


def test_the_end_of_the_last_line_begins_no_document(tmp_path):
    path = tmp_path / "one.txt"
    for text, documents in (("one line\n", 1), ("one\ntwo\n", 2)):
        path.write_text(text, encoding="utf-8")
        corpus = data.read(path)
        assert len(corpus.documents) == documents
        assert corpus.text == text
