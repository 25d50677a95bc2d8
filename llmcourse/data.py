"""Text to learn from: two corpora that are always here, and one that is downloaded once.

| name | what | where it comes from |
| --- | --- | --- |
| `tales` | very short stories in English or Chinese, any number | generated, from a seed |
| `python-docs` | the reference topics of Python's own `help()` | in every CPython |
| `tinyshakespeare` | 1.1 MB of Shakespeare's plays | the network, then a cache |

`LLMCOURSE_DATA` may name a folder of files that are already downloaded; it is looked at first.
"""

import hashlib
import os
import platform
import random
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import platformdirs
from tqdm import tqdm

__all__ = ["Corpus", "Split", "Unavailable", "cache_dir", "load", "local", "read", "split"]


class Unavailable(OSError):
    """A file that is neither here nor to be had; the message says what to use in its place."""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A text, cut into the documents that a split must not tear, with where it comes from.

    >>> load("python-docs").name
    'python-docs'
    """

    name: str
    documents: tuple[str, ...]
    separator: str  # what stands between two documents
    licence: str
    source: str

    @cached_property
    def text(self) -> str:
        """All documents, with the separator between them."""
        return self.separator.join(self.documents)

    @cached_property
    def sha256(self) -> str:
        """Hash of the text's UTF-8 bytes: two machines that print it have the same text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def n_bytes(self) -> int:
        """Length of the text in UTF-8 bytes."""
        return len(self.text.encode())

    def __repr__(self) -> str:
        return (
            f"{self.name}: {self.n_bytes:,} bytes in {len(self.documents):,} documents, "
            f"sha256 {self.sha256[:12]}… ({self.source}; {self.licence})"
        )


class Split(NamedTuple):
    """Text for training, for choices made on the way, and for the one final measurement."""

    train: str
    dev: str
    test: str


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A file on the network, known by its hash."""

    url: str
    sha256: str
    filename: str
    licence: str
    source: str


REMOTE = {
    "tinyshakespeare": Remote(
        url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        filename="tinyshakespeare.txt",
        licence="public domain",
        source="Shakespeare's plays, excerpted by Karpathy (2015) for char-rnn",
    )
}
NAMES = ("python-docs", "tales", *REMOTE)
_BUILT_IN = (
    'Without a network, data.load("python-docs") and data.load("tales", n=1000) are always here.'
)


def load(
    name: str,
    *,
    n: int = 1000,
    seed: int = 0,
    language: str = "en",
    split: str = "train",
    repeats: bool = False,
) -> Corpus:
    """A corpus by name: "python-docs", "tales" or "tinyshakespeare".

    `n`, `seed`, `language` ("en", "zh") and `split` ("train", "dev", "test", "held-out") matter
    to "tales" alone. Python's topics quote each other at length: a paragraph is kept where it
    stands first, so that no split tests on what it trained on; `repeats=True` keeps them all.

    Raises:
        ValueError: no corpus has that name, or a file in `LLMCOURSE_DATA` is not the one meant.
        Unavailable: the file is not here and could not be downloaded.
    """
    if name == "python-docs":
        return _python_docs(repeats)
    if name == "tales":
        from llmcourse import tales

        stories = tales.generate(seed=seed, n=n, language=language, split=split)
        return Corpus(
            name="tales",
            documents=tuple(story.text for story in stories),
            separator="\n\n",
            licence="CC BY 4.0",
            source=f"llmcourse.tales, {language}, {split}, n={n}, seed={seed}",
        )
    if name not in REMOTE:
        raise ValueError(f"no corpus is named {name!r}; there are {', '.join(NAMES)}")
    remote = REMOTE[name]
    path = _fetch(name, remote)
    return read(path, name=name, licence=remote.licence, source=remote.source)


def read(
    path: str | Path, *, name: str | None = None, licence: str = "yours", source: str | None = None
) -> Corpus:
    """Your own text file as a corpus, cut at blank lines into documents of about 5,000 characters.

    Raises:
        ValueError: the file is empty or no UTF-8 text; the message says at which byte.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not UTF-8 text: byte {error.start} is 0x{error.object[error.start]:02x}; "
            "save it as UTF-8, or read it yourself and use Corpus"
        ) from error
    text = text.replace("\r\n", "\n")
    if not text.strip():
        raise ValueError(f"{path} holds no text")
    documents, separator = _documents(text)
    return Corpus(
        name=name or path.stem,
        documents=documents,
        separator=separator,
        licence=licence,
        source=source or path.name,
    )


def split(
    corpus: Corpus | str, fractions: Sequence[float] = (0.9, 0.05, 0.05), *, seed: int = 0
) -> Split:
    """Train, dev and test text, cut between documents, never inside one.

    Which documents go to dev and test is drawn with `seed`; each part keeps them in their order.
    Documents with the same text stay together, so the three parts share none. A part's size is
    near its fraction of the characters when documents are short beside it.

    Raises:
        ValueError: the fractions are not three shares that sum to 1, or there are fewer distinct
            documents than parts.
    """
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise ValueError(f"fractions must be three shares that sum to 1, got {tuple(fractions)}")
    if isinstance(corpus, str):
        documents, separator = _documents(corpus)
    else:
        documents, separator = corpus.documents, corpus.separator
    distinct = sorted(set(documents))
    wanted = [i for i in (2, 1) if fractions[i] > 0]
    if len(distinct) <= len(wanted):
        raise ValueError(
            f"a split into {len(wanted) + 1} parts needs as many distinct documents, "
            f"got {len(distinct)}"
        )
    random.Random(seed).shuffle(distinct)
    size = {d: documents.count(d) * len(d) for d in distinct}
    total = sum(size.values())
    part: dict[str, int] = {}
    for k, i in enumerate(wanted):
        room = fractions[i] * total
        free = [d for d in distinct if d not in part]
        free = free[: len(free) - (len(wanted) - k)]  # leave one for each part still to come
        taken = 0
        for d in free:
            if taken + size[d] <= 1.02 * room:
                part[d] = i
                taken += size[d]
        if not taken:  # every document is larger than the part: the smallest comes nearest
            part[min(free, key=size.__getitem__)] = i
    texts = (separator.join(d for d in documents if part.get(d, 0) == i) for i in range(3))
    return Split(*texts)


def cache_dir() -> Path:
    """The folder for downloaded files: this system's usual place for caches."""
    return Path(platformdirs.user_cache_dir("llmcourse", appauthor=False))


def local(filename: str) -> Path | None:
    """A file that is already here, in the folder `LLMCOURSE_DATA` or the cache; None if not.

    Raises:
        ValueError: `LLMCOURSE_DATA` is set and names no folder.
    """
    named = os.environ.get("LLMCOURSE_DATA")
    folders = [cache_dir()]
    if named:
        folder = Path(named).expanduser()
        if not folder.is_dir():
            raise ValueError(f"LLMCOURSE_DATA must name a folder, got {named!r}")
        folders.insert(0, folder)
    return next((f / filename for f in folders if (f / filename).is_file()), None)


def _python_docs(repeats: bool) -> Corpus:
    from pydoc_data.topics import topics

    seen: set[str] = set()
    documents = []
    for name in sorted(topics):
        paragraphs = [p.strip("\n") for p in topics[name].split("\n\n")]
        paragraphs = [p for p in paragraphs if p.strip()]
        if not repeats:
            paragraphs = [p for p in dict.fromkeys(paragraphs) if p not in seen]
            seen.update(paragraphs)
        if paragraphs:
            documents.append("\n\n".join(paragraphs))
    return Corpus(
        name="python-docs",
        documents=tuple(documents),
        separator="\n\n\n",
        licence="PSF License Version 2",
        source=f"pydoc_data.topics of Python {platform.python_version()}",
    )


def _documents(text: str, size: int = 5000) -> tuple[tuple[str, ...], str]:
    """Documents of a text and what stands between them.

    Two blank lines part documents where the text has them. Else runs of paragraphs (or of lines)
    are put together until they reach `size` characters: short pieces alone would tear a story
    from its beginning.
    """
    if "\n\n\n" in text:
        return tuple(text.split("\n\n\n")), "\n\n\n"
    separator = "\n\n" if "\n\n" in text else "\n"
    runs: list[list[str]] = [[]]
    length = 0
    for piece in text.split(separator):
        # An empty piece, as after the last line's end, is no beginning.
        if piece and length >= min(size, max(1, len(text) // 40)):
            runs.append([])
            length = 0
        runs[-1].append(piece)
        length += len(piece)
    return tuple(separator.join(run) for run in runs), separator


def _fetch(name: str, remote: Remote) -> Path:
    """The file's path, downloaded to the cache if it is not here yet."""
    path = local(remote.filename)
    if path is None:
        path = cache_dir() / remote.filename
        try:
            _download(remote, path)
        except (OSError, urllib.error.URLError) as error:
            reason = getattr(error, "reason", None) or error
            raise Unavailable(
                f"{name} is not on this machine and could not be fetched from {remote.url} "
                f"({reason}). {_BUILT_IN} A copy of the file, named {remote.filename}, in a folder "
                "that LLMCOURSE_DATA names, works too."
            ) from error
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != remote.sha256:
        raise ValueError(
            f"{path} is not the file meant: its SHA-256 must be {remote.sha256}, got {found}. "
            "Delete it and load again."
        )
    return path


def _download(remote: Remote, path: Path) -> None:
    """Fetch to `path.part`, going on where an earlier try stopped; rename when the hash is right.

    After an interruption the partial file stays, to be resumed. After a wrong hash or a full disk
    it goes, for it is of no use. `path` itself is whole or absent at every moment.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    resumed = partial.exists() and partial.stat().st_size > 0
    try:
        _receive(remote.url, partial)
    except OSError as error:
        # A network failure keeps what has come; a failure to write (disk, rights) does not.
        if error.errno is not None and error.filename is None and not _of_network(error):
            partial.unlink(missing_ok=True)
        raise
    found = hashlib.sha256(partial.read_bytes()).hexdigest()
    if found != remote.sha256:
        partial.unlink()
        if resumed:  # the old half may be from another version of the file: once more, afresh
            return _download(remote, path)
        raise OSError(f"its SHA-256 must be {remote.sha256}, got {found}; nothing was kept")
    os.replace(partial, path)
    return None


def _of_network(error: OSError) -> bool:
    return isinstance(error, ConnectionError | TimeoutError | urllib.error.URLError)


def _receive(url: str, partial: Path) -> None:
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "llmcourse"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is left to fetch; the hash will tell
            return
        raise
    with response:
        if response.status != 206:  # the server sends the whole file
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=partial.stem)
        with bar, partial.open("ab" if have else "wb") as file:
            while block := response.read(1 << 16):
                file.write(block)
                bar.update(len(block))
            file.flush()
            os.fsync(file.fileno())
            if total is not None and file.tell() < total:
                raise ConnectionError(f"the connection ended at byte {file.tell()} of {total}")
