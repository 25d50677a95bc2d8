"""Numbers quoted from other chapters, launch buttons, and the ways to start without installing."""

import json
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

pytest.importorskip("sphinx")
from llmcourse import booksite

ROOT = Path(__file__).resolve().parents[1]
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))


def test_a_recorded_number_is_named_by_chapter_and_name():
    assert booksite.split("../math/scaling:sc-gpt3") == ("../math/scaling", "sc-gpt3")
    for bad in ("sc-gpt3", "../math/scaling:", "a b:c", ""):
        with pytest.raises(ValueError, match="chapter:name"):
            booksite.split(bad)


def options(url):
    return {
        "repository_url": url,
        "launch_buttons": {"thebe": False, "colab_url": "colab", "binderhub_url": "binder"},
    }


@pytest.mark.parametrize(
    ("url", "buttons"),
    [
        ("", set()),
        ("  ", set()),
        (None, set()),
        ("https://github.com/a/b/", {"colab_url", "binderhub_url"}),
        ("https://gitlab.com/a/b", {"binderhub_url"}),
        ("https://github.com.example.org/a/b", {"binderhub_url"}),
    ],
)
def test_a_button_needs_an_address(url, buttons):
    given = options(url)
    made = booksite.launch(given)
    assert {k for k in made["launch_buttons"] if k.endswith("_url")} == buttons
    assert not made["repository_url"].endswith("/")
    assert given == options(url), "the given options are not changed"


def test_the_address_is_set_in_one_place():
    assert set(CONFIG["repository"]) == {"url", "branch"}
    assert "repository_url" not in CONFIG["sphinx"]["config"]["html_theme_options"]
    assert {"colab_url", "binderhub_url"} <= set(CONFIG["launch_buttons"])


def test_binder_installs_the_pinned_torch_first():
    for name in ("postBuild", "start"):
        path = ROOT / "binder" / name
        if os.name == "posix":
            assert path.stat().st_mode & stat.S_IXUSR, f"{name} cannot be executed"
            subprocess.run(["bash", "-n", path], check=True)
    script = (ROOT / "binder" / "postBuild").read_text("utf-8")
    pattern = re.search(r"sed -n 's/\^ \*\"\\\((torch==)", script)
    assert pattern, "the version is read from pyproject.toml, not written twice"
    pins = re.findall(r'^ *"(torch==[^"]*)"', (ROOT / "pyproject.toml").read_text("utf-8"), re.M)
    assert len(pins) == 1
    assert script.index('"$torch"') < script.index(".[book]")


def test_the_devcontainer_makes_the_same_environment():
    made = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    assert made["postCreateCommand"] == "make .make/env"
    assert (ROOT / ".devcontainer" / made["build"]["dockerfile"]).is_file()
    version = re.search(r"python:(3\.\d+)", (ROOT / ".devcontainer/Dockerfile").read_text())[1]
    assert version in {"3.11", "3.12", "3.13"}
    assert (ROOT / "binder" / "runtime.txt").read_text().strip() == f"python-{version}"
