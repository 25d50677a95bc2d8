"""Two tasks to try: facts read off a tale, whose truth is known, and Python's own one-line docs.

Each is a list of plain records, ready for a file; whoever has a task of their own needs neither.
"""

import importlib
import inspect
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from llmcourse import checkpoint, tales

__all__ = ["MODULES", "cards", "signatures", "write"]

MODULES = tuple(
    """abc argparse ast base64 bisect calendar cmd code codeop collections colorsys configparser
    contextlib copy csv dataclasses difflib dis email.utils enum filecmp fnmatch fractions ftplib
    functools getopt getpass gettext glob graphlib gzip heapq hmac html http.client imaplib inspect
    ipaddress json keyword linecache locale logging mailbox mimetypes netrc numbers operator
    optparse os pathlib pickle pickletools pkgutil platform plistlib poplib posixpath pprint queue
    quopri random reprlib sched selectors shlex shutil smtplib socket socketserver statistics
    string subprocess tarfile tempfile textwrap threading timeit tokenize trace traceback types
    typing unittest.case urllib.parse urllib.request uuid warnings wave weakref xml.dom.minidom
    zipfile""".split()
)
LONGEST = 90  # characters of a signature, and of a sentence


def cards(n: int, *, seed: int = 0, whole: bool = True) -> list[dict[str, str]]:
    """Facts to be read off a tale: of a whole one who, with whom, what and where to; of its
    beginning who, the trade, with whom and what. Every answer is exact.

    >>> cards(1, seed=1, whole=False)[0]["answer"]
    'Boris, writer, Julia, mask.'
    """
    asked = "ABOQ" if whole else "ATBO"
    rows = []
    for story in tales.generate(seed=seed, n=n):
        sentences = re.split(r"(?<=[.!?”]) ", story.text)
        text = story.text if whole else " ".join(sentences[:3])
        facts = [story.facts[name] for name in asked]
        rows.append({"prompt": text, "answer": ", ".join(facts) + "."})
    return rows


def signatures(modules: Iterable[str] = MODULES) -> list[dict[str, str]]:
    """Functions of Python's library: the signature, and the first sentence of its documentation.

    It depends on the release of Python; a module that this one lacks is passed over.
    """
    rows: dict[str, dict[str, str]] = {}
    for name in modules:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        for path, function in _functions(module):
            doc = inspect.cleandoc(function.__doc__ or "").strip()
            first = re.split(r"(?<=[.!?])\s|\n\n", doc)[0].replace("\n", " ")
            prompt = f"{name}.{path}{inspect.signature(function)}"
            if len(prompt) <= LONGEST and 8 < len(first) <= LONGEST and " at 0x" not in prompt:
                rows.setdefault(prompt, {"prompt": prompt, "answer": first, "module": name})
    return list(rows.values())


def _functions(module):
    named = list(vars(module).items())
    for name, value in list(named):
        if inspect.isclass(value) and value.__module__ == module.__name__:
            named += [(f"{name}.{inner}", v) for inner, v in vars(value).items()]
    for name, value in named:
        own = inspect.isfunction(value) and value.__module__ == module.__name__
        if own and not any(part.startswith("_") for part in name.split(".")):
            yield name, value


def write(path: str | Path, rows: Iterable[Mapping[str, str]]) -> Path:
    """Records as a file, one JSON object a line, whole or not at all; returns the path."""
    text = "".join(json.dumps(dict(row), ensure_ascii=False) + "\n" for row in rows)
    checkpoint.write_file(Path(path), text.encode())
    return Path(path)
