"""Shapes enforced while testing, one torch thread, and the shared data folder."""

import os
import tempfile
from pathlib import Path

import pytest
import torch
from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "llmcourse"
# Left out: `exercises` holds wrong answers on purpose, and `cli` is a face with no arrays.
UNCHECKED = {"exercises", "cli", "__init__"}
CHECKED = sorted(
    f"llmcourse.{path.stem}"
    for path in PACKAGE.iterdir()
    if path.stem not in UNCHECKED and (path.suffix == ".py" or (path / "__init__.py").exists())
)

# PEP 484: where a float is asked for, an int will do.
typechecker = beartype(conf=BeartypeConf(is_pep484_tower=True))

# Before any test module imports the package: the hook rewrites modules as they load.
install_import_hook(CHECKED, "conftest.typechecker")
# What a test answers is not the reader's progress.
os.environ["LLMCOURSE_PROGRESS"] = str(Path(tempfile.mkdtemp()) / "progress.json")
# Two workers share two cores, and one thread makes sums repeat to the bit.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of downloaded files: LLMCOURSE_DATA, else ../shared/data beside the repository."""
    folder = Path(os.environ.get("LLMCOURSE_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no data folder at {folder}: set LLMCOURSE_DATA to one")
    return folder
