"""Laws of the chapters as they are written: every notebook complete, in order, and fit to run."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = ROOT / "chapters"
NOTEBOOKS = sorted(p for p in CHAPTERS.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
PAGES = sorted([*CHAPTERS.rglob("*.md"), ROOT / "intro.md"])
LONGEST_CELL = 25  # lines; the aim is 12
FLOOR = {"words": 1200, "code cells": 12, "figures": 2, "exercises": 3, "citations": 3}
# A project is a task, not a chapter: shorter, one exercise, no quiz.
PROJECT = {"words": 500, "code cells": 6, "figures": 1, "exercises": 1, "citations": 1}
# A page to look things up in has a figure and its sources, and asks nothing.
REFERENCE = {"words": 500, "code cells": 4, "figures": 1, "exercises": 0, "citations": 1}
FLOORS = {"project": PROJECT, "speed": REFERENCE, "errata": REFERENCE}
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
LISTED = {TOC["root"]} | {
    c["file"] for part in TOC.get("parts", [TOC]) for c in part.get("chapters", [])
}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT).with_suffix(""))


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def source(path: Path, kind: str) -> str:
    return "\n\n".join(c.source for c in read(path).cells if c.cell_type == kind)


def words(markdown: str) -> int:
    """Words a reader reads, without formulas and the frames of directives."""
    text = re.sub(r"\$\$.*?\$\$|\$[^$]*\$", " x ", markdown, flags=re.S)
    text = re.sub(r"^\s*(```|:::).*$|^\s*:[a-z-]+:.*$", " ", text, flags=re.M)
    return len(re.findall(r"[A-Za-z0-9][\w'’-]*|[\u4e00-\u9fff]", text))


def cited(text: str) -> set[str]:
    groups = re.findall(r"\{cite(?::[a-z]+)?\}`([^`]+)`", text)
    return {key.strip() for group in groups for key in group.split(",")}


def glued(code: str) -> list[re.Pattern]:
    """Names that `record` and `plots.show` glue; a part filled in by the run matches anything."""
    names = []
    for node in ast.walk(ast.parse(re.sub(r"^\s*[%!].*$", "pass", code, flags=re.M))):
        if not (isinstance(node, ast.Call) and node.args):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func
        called = called.id if isinstance(called, ast.Name) else called
        place = {"record": 0, "glue": 0, "show": 1}.get(called if isinstance(called, str) else "")
        if place is None or len(node.args) <= place:
            continue
        given = node.args[place]
        if isinstance(given, ast.Constant):
            names.append(re.compile(re.escape(str(given.value))))
        elif isinstance(given, ast.JoinedStr):
            parts = (
                re.escape(v.value) if isinstance(v, ast.Constant) else ".+" for v in given.values
            )
            names.append(re.compile("".join(parts)))
    return names


def keys_of_bibliography() -> list[str]:
    return re.findall(r"^@\w+\{([^,\s]+)", (ROOT / "references.bib").read_text("utf-8"), re.M)


chapters = pytest.mark.parametrize("path", NOTEBOOKS, ids=name)


@chapters
def test_committed_without_outputs(path):
    for k, cell in enumerate(read(path).cells):
        if cell.cell_type == "code" and "keep_output" not in cell.metadata.get("tags", []):
            assert not cell.outputs, f"cell {k} ({cell.id}) holds outputs: run 'make format'"
            assert cell.execution_count is None, f"cell {k} ({cell.id}): run 'make format'"


@chapters
def test_kernel_is_any_python_3(path):
    assert read(path).metadata.get("kernelspec", {}).get("name") == "python3"


@chapters
def test_cell_ids_are_there_and_unique(path):
    ids = [cell.get("id") for cell in read(path).cells]
    assert all(ids) and len(set(ids)) == len(ids)
    assert not any(re.fullmatch(r"[0-9a-f]{8}", i) for i in ids), "name cells by what they mean"


@chapters
def test_a_cell_holds_one_idea(path):
    for cell in read(path).cells:
        if cell.cell_type == "code":
            lines = cell.source.count("\n") + 1
            assert lines <= LONGEST_CELL, f"cell {cell.id} has {lines} lines"
            assert cell.source.strip(), f"cell {cell.id} is empty"


@pytest.mark.parametrize("path", [*NOTEBOOKS, *PAGES], ids=name)
def test_listed_in_the_table_of_contents(path):
    assert name(path) in LISTED, f"{name(path)} is not in _toc.yml: readers will not find it"


def test_the_table_of_contents_names_only_what_is_there():
    there = {name(p) for p in (*NOTEBOOKS, *PAGES)}
    assert there >= LISTED, f"in _toc.yml but not written: {sorted(LISTED - there)}"


@pytest.mark.parametrize("path", [*NOTEBOOKS, *PAGES], ids=name)
def test_names_no_folder_of_one_machine(path):
    found = re.findall(r"(?<![\w.])/(?:work|home|root|Users|tmp)/\S*", path.read_text("utf-8"))
    assert not found, f"runs on one machine only: {found}"


@chapters
def test_runs_from_any_folder(path):
    for cell in read(path).cells:
        if cell.cell_type == "code":
            found = re.findall(r"""["']\.{1,2}/|\bopen\(["'][^/]|Path\(["'][^/]""", cell.source)
            assert not found, f"cell {cell.id} depends on the folder it runs in: {found}"


@chapters
def test_is_a_whole_chapter(path):
    code, prose = source(path, "code"), source(path, "markdown")
    found = {
        "words": words(prose),
        "code cells": sum(c.cell_type == "code" for c in read(path).cells),
        "figures": len(re.findall(r"\bplots\.show\(|\bshow\(fig", code)),
        "exercises": len(set(re.findall(r"\bcheck\(\s*\"([\w.-]+)\"", code))),
        "citations": len(cited(prose)),
    }
    floor = FLOORS.get(path.stem, FLOOR)
    short = {what: n for what, n in found.items() if n < floor[what]}
    assert not short, f"below the floor {floor}: {short}"


@chapters
def test_has_one_title_and_a_quiz_of_five(path):
    prose = source(path, "markdown")
    fenced = re.sub(r"^```.*?^```", "", prose, flags=re.M | re.S)
    assert len(re.findall(r"^# ", fenced, re.M)) == 1
    quizzes = re.findall(r"^(`{3,})\{quiz\}.*?\n(.*?)^\1\s*$", prose, re.M | re.S)
    if path.stem in FLOORS:
        assert not quizzes, "a project is judged by its score, and a reference asks nothing"
        return
    assert len(quizzes) == 1, "a chapter has one quiz"
    assert len(re.findall(r"^\d\. ", quizzes[0][1], re.M)) == 5


@chapters
def test_a_self_test_names_sections_that_are_there(path):
    prose = source(path, "markdown")
    titles = re.findall(r"^#{2,3} (.+)$", prose, re.M)
    anchors = {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles}
    for _, block in re.findall(r"^(`{3,})\{selftest\}.*?\n(.*?)^\1\s*$", prose, re.M | re.S):
        named = re.findall(r"^\s*Read: \[[^\]]+\]\(#([\w-]+)\)$", block, re.M)
        assert len(named) == len(re.findall(r"^\d+\. ", block, re.M)), "each question names one"
        assert set(named) <= anchors, f"no such section: {sorted(set(named) - anchors)}"


@chapters
def test_every_exercise_has_its_text_and_its_help(path):
    code, prose = source(path, "code"), source(path, "markdown")
    exercises = sorted(set(re.findall(r"\bcheck\(\s*\"([\w.-]+)\"", code)))
    for exercise in exercises:
        assert f"{{answer}} {exercise}" in prose, f"no hints and solution of {exercise}"
    labels = re.findall(r"\{exercise\}[^\n]*\n:label: ex-([\w-]+)", prose)
    assert len(set(labels)) == len(labels) >= len(exercises), f"{exercises} but labels {labels}"


@chapters
def test_numbers_in_prose_were_recorded(path):
    names = glued(source(path, "code"))
    prose = source(path, "markdown")
    for key in re.findall(r"\{glue:(?:text|figure)?\}`([^`:]+)(?::[^`]*)?`", prose):
        assert any(p.fullmatch(key) for p in names), f"no cell records {key}"


@pytest.mark.parametrize("path", [*NOTEBOOKS, *PAGES], ids=name)
def test_citations_exist(path):
    text = source(path, "markdown") if path.suffix == ".ipynb" else path.read_text("utf-8")
    missing = cited(text) - set(keys_of_bibliography())
    assert not missing, f"not in references.bib: {sorted(missing)}"


def test_each_reference_stands_once_and_can_be_found():
    text = (ROOT / "references.bib").read_text("utf-8")
    keys = keys_of_bibliography()
    assert len(keys) == len(set(keys)), sorted({k for k in keys if keys.count(k) > 1})
    for entry in re.split(r"^(?=@)", text, flags=re.M):
        if entry.startswith("@") and not entry.lower().startswith(("@comment", "@string")):
            found = re.search(r"\b(doi|eprint|url|isbn)\s*=", entry, re.I)
            # What is older than such numbers is found by volume and pages, or by its publisher.
            given = {f for f in ("volume", "pages", "publisher") if re.search(rf"\b{f}\s*=", entry)}
            printed = "publisher" in given or {"volume", "pages"} <= given
            assert found or printed, entry.split(",")[0]


@chapters
def test_predictions_come_before_their_cell(path):
    """A prompt to predict is followed by a code cell, or it predicts nothing."""
    cells = read(path).cells
    for cell, following in zip(cells, [*cells[1:], None], strict=True):
        if cell.cell_type == "markdown" and re.search(r":class: .*\bpredict\b", cell.source):
            assert following is not None and following.cell_type == "code", (
                f"cell {cell.id} asks for a prediction, but no code cell follows"
            )
