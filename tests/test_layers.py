"""Layers are tested, not remembered: a module imports only from rows above its own."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "llmcourse"
# One row a layer, lowest first. A new module needs a place here.
ROWS = (
    ("metrics", "autograd", "distributed", "memory", "plots", "ragged", "scaling", "trellis"),
    ("tales", "graphview", "wordalign"),
    ("data",),
    ("tokenizers", "attention", "dedup", "hmm", "ngram", "optim", "records", "tagging", "vectors"),
    ("layers", "gptconfig", "filters", "bilingual"),
    ("feedforward", "rnn", "gpt"),
    ("batches", "checkpoint", "decode", "gradients", "moe", "serving"),
    ("runs", "seq2seq", "sweep"),
    ("train", "sample", "lengths", "throughput", "puzzles"),
    ("classification", "hf", "lora", "quantize", "evaluate", "retrieval", "interpret", "noisy"),
    ("frameworks",),
    ("models",),
    ("calculator", "chat", "privacy", "watermark"),
    ("align", "toolbox"),
    ("adapt", "assistant", "dialogue", "qa", "safety"),
    ("summarization",),
    ("exercises", "book"),
    ("widgets",),
    ("booksite", "cli", "sphinxext"),
    ("epub",),
    ("__main__",),
)
ROW = {name: i for i, names in enumerate(ROWS) for name in names}
LONGEST = 400
FILES = sorted(PACKAGE.rglob("*.py"))


def owner(path: Path) -> str:
    """The module or package directly under `llmcourse` that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree: ast.AST, path: Path) -> list[tuple[int, str]]:
    """(line, dotted name) of every import in a file, lazy ones too, relative ones resolved."""
    names: list[tuple[int, str]] = []
    package = ["llmcourse", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            # `from llmcourse import gpt` names a module; `from llmcourse.gpt import GPT` does not.
            names += [(node.lineno, f"{module}.{alias.name}") for alias in node.names]
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_come_from_rows_above(path):
    own = owner(path)
    if own == "__init__":
        return
    assert own in ROW, f"{own} has no row in tests/test_layers.py"
    for line, name in imported(ast.parse(path.read_text("utf-8")), path):
        parts = name.split(".")
        if parts[0] != "llmcourse" or len(parts) < 2 or parts[1] == own or parts[1].startswith("_"):
            continue
        assert parts[1] in ROW, f"{path.name}:{line} imports llmcourse.{parts[1]}, which has no row"
        assert ROW[parts[1]] < ROW[own], f"{path.name}:{line}: {own} may not import {parts[1]}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_are_short_and_load_no_pickle(path):
    text = path.read_text("utf-8")
    lines = text.count("\n")
    assert lines <= LONGEST, f"{path.name} has {lines} lines; {LONGEST} at most"
    tree = ast.parse(text)
    for line, name in imported(tree, path):
        assert name.split(".")[0] not in {"pickle", "cPickle", "dill", "joblib", "marshal"}, (
            f"{path.name}:{line} imports {name}: nothing is ever unpickled"
        )
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            pytest.fail(f"{path.name}:{node.lineno} calls torch.load: use safetensors")
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant) and node.value.value is False


def test_the_table_names_each_module_once():
    names = [name for row in ROWS for name in row]
    assert len(names) == len(set(names))


def test_relative_and_package_imports_are_seen():
    tree = ast.parse("from . import gpt\nfrom .train import fit\nfrom llmcourse import cli\n")
    names = [name for _, name in imported(tree, PACKAGE / "metrics.py")]
    assert names == ["llmcourse.gpt", "llmcourse.train.fit", "llmcourse.cli"]
