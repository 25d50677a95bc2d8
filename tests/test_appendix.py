"""Laws of the pages to look things up in: links that lead somewhere, terms, sources."""

import re
from pathlib import Path

import pytest
from test_chapters import LISTED, cited, glued, source

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = ROOT / "chapters"
APPENDIX = CHAPTERS / "appendix"
PAGES = sorted(
    p
    for p in CHAPTERS.rglob("*.*")
    if p.suffix in (".md", ".ipynb") and ".ipynb_checkpoints" not in p.parts
)


def text(path: Path) -> str:
    return source(path, "markdown") if path.suffix == ".ipynb" else path.read_text("utf-8")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT).with_suffix(""))


def anchors(path: Path) -> set[str]:
    """What headings are called in links, as the book's parser does it."""
    unfenced = re.sub(r"^(`{3,}).*?^\1\s*$", "", text(path), flags=re.M | re.S)
    titles = re.findall(r"^#{1,3} (.+)$", unfenced, re.M)
    return {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}


pages = pytest.mark.parametrize("page", PAGES, ids=name)


@pages
def test_links_between_chapters_lead_to_a_section(page):
    bad = []
    for link in re.findall(r"\]\(((?!https?:|mailto:)[^)\s]+)\)", text(page)):
        path, _, anchor = link.partition("#")
        if not path.endswith((".md", ".ipynb")) and path:
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            bad.append(f"{link}: no such file")
        elif anchor and anchor not in anchors(target):
            bad.append(f"{link}: no such section")
    for link in re.findall(r"\{doc\}`(?:[^`<]*<)?([^`>]+)>?`", text(page)):
        target = (ROOT if link.startswith("/") else page.parent) / link.lstrip("/")
        if str(target.resolve().relative_to(ROOT)) not in LISTED:
            bad.append(f"{{doc}} {link}: not in the table of contents")
    assert not bad, bad


@pages
def test_numbers_quoted_from_other_chapters_are_recorded_there(page):
    bad = []
    for chapter, key in re.findall(r"\{recorded\}`([^`:]+):([^`]+)`", text(page)):
        target = (page.parent / f"{chapter}.ipynb").resolve()
        names = glued(source(target, "code")) if target.exists() else []
        # A name that a pattern matches wholly by what the run fills in proves nothing.
        if not any(p.fullmatch(key) and p.pattern != ".+" for p in names):
            bad.append(f"{chapter}:{key}")
    assert not bad, bad


def entries(page: str) -> list[str]:
    path = APPENDIX / page
    return re.findall(r"^### (.+)$", text(path), re.M)


def test_every_erratum_is_labelled_and_shown():
    found = re.split(r"^### ", text(APPENDIX / "errata.ipynb"), flags=re.M)[1:]
    assert [int(e.split(".")[0]) for e in found] == list(range(1, 22))
    for entry in found:
        assert re.search(r"^> ", entry, re.M), f"no quotation: {entry[:40]}"
        label = re.search(r"^\*\*(Wrong|Misleading|Incomplete|Outdated)\b", entry, re.M)
        assert label, f"no label: {entry[:40]}"
    drawn = re.search(r'found = "([^"]+)"', source(APPENDIX / "errata.ipynb", "code"))[1]
    said = [re.search(r"^\*\*(\w)", entry, re.M)[1].lower() for entry in found]
    assert sorted(kind[1] for kind in drawn.split()) == sorted(said), "figure and text differ"


def test_questions_are_answered_with_a_link():
    found = re.split(r"^### ", text(APPENDIX / "faq.md"), flags=re.M)[1:]
    assert len(found) >= 19 and len(set(entries("faq.md"))) == len(found)
    for entry in found:
        title, _, answer = entry.partition("\n")
        answer = answer.split("\n## ")[0]
        assert "?" in title, title
        linked = re.search(r"\]\([^)]*(?:ipynb|md)|\{doc\}|this book|closing table", answer, re.I)
        assert linked, f"no way into the book: {title}"
        assert len(answer.split()) <= 150, f"too long: {title}"
        # Sizes, and what others report, may be typed; what our runs found may not.
        bare = re.sub(r"\{recorded\}`[^`]*`|\$[^$]*\$|\]\([^)]*\)|`[^`]*`", "", title + answer)
        typed = set(re.findall(r"\d+\.\d+", bare)) - {"10.8", "10.8259", "2.9", "3.0"}
        assert not typed, f"{typed} typed: {title}"


# The glossary -------------------------------------------------------------------------------------


def glossary() -> list[tuple[str, str]]:
    block = re.search(r"```\{glossary\}\n(.*?)\n```", text(APPENDIX / "glossary.md"), re.S)[1]
    return [tuple(entry.split("\n", 1)) for entry in block.split("\n\n")]


def test_the_glossary_is_large_sorted_and_without_doubles():
    terms = [term for term, _ in glossary()]
    assert len(terms) >= 150
    assert len({t.lower() for t in terms}) == len(terms)
    assert [t.lower() for t in terms] == sorted(t.lower() for t in terms)


def test_each_term_has_a_chinese_name_a_definition_and_a_chapter():
    for term, rest in glossary():
        assert all(line.startswith("  ") for line in rest.split("\n")), term
        chinese, _, meaning = rest.strip().partition(". ")
        assert re.search(r"[\u4e00-\u9fff]", chinese), f"{term}: no Chinese name"
        meaning, arrow, _ = meaning.partition(" → {doc}`")
        assert 3 <= len(meaning.split()) <= 60, f"{term}: {meaning}"
        assert arrow, f"{term}: add the chapter that treats it: → {{doc}}`Title <../part/chapter>`"


def test_chapters_link_terms_that_are_there():
    terms = {t.lower() for t, _ in glossary()}
    linked = set()
    for page in PAGES:
        for role in re.findall(r"\{term\}`([^`]+)`", text(page)):
            target = re.sub(r".*<(.+)>$", r"\1", role).lower()
            assert target in terms, f"{name(page)}: no term {target!r}"
            linked.add(target)
    assert len(linked) >= 40


# The bibliography ---------------------------------------------------------------------------------


def bibliography() -> dict[str, dict[str, str]]:
    raw = (ROOT / "references.bib").read_text("utf-8")
    found = {}
    for entry in re.split(r"^(?=@)", raw, flags=re.M):
        if head := re.match(r"@\w+\{([^,\s]+)", entry):
            pattern = r"\b(\w+)\s*=\s*\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}"
            found[head[1]] = {k.lower(): v for k, v in re.findall(pattern, entry)}
    return found


def test_every_source_is_cited_and_every_citation_has_its_source():
    keys, used = set(bibliography()), set()
    for page in [*PAGES, ROOT / "intro.md"]:
        used |= cited(text(page))
    for page in ROOT.joinpath("llmcourse").rglob("*.py"):  # captions and answers
        used |= cited(page.read_text("utf-8"))
    assert not keys - used, f"never cited: {sorted(keys - used)}"
    assert not used - keys, f"not in references.bib: {sorted(used - keys)}"


def test_sources_are_whole_and_stand_once():
    seen: dict[str, str] = {}
    for key, entry in bibliography().items():
        assert {"author", "title", "year"} <= set(entry), key
        assert re.fullmatch(r"(1[89]|20)\d\d", entry["year"]), key
        # An older source may have been cited with the year of the edition that is read.
        assert entry["year"] in key or not re.search(r"\d{4}", key), f"{key} is of {entry['year']}"
        plain = re.sub(r"[^a-z0-9]", "", entry["title"].lower())
        for what in (entry.get("doi"), entry.get("eprint"), entry.get("url"), plain):
            if what:
                assert what.lower() not in seen, f"{key} and {seen[what.lower()]} are one source"
                seen[what.lower()] = key
        if doi := entry.get("doi"):
            assert re.fullmatch(r"10\.\d{4,9}/\S+", doi), f"{key}: {doi}"
        if eprint := entry.get("eprint"):
            number = re.fullmatch(r"(\d\d)(\d\d)\.\d{4,5}|[a-z.-]+/\d{7}", eprint)
            assert number, f"{key}: {eprint}"
            if number[1]:
                assert 1 <= int(number[2]) <= 12, f"{key}: {eprint}"
                gap = int(entry["year"]) - 2000 - int(number[1])
                assert -1 <= gap <= 3, f"{key}: of {entry['year']}, but {eprint}"
        if url := entry.get("url"):
            assert re.match(r"https?://\S+$", url), f"{key}: {url}"


# Set-up and notation ------------------------------------------------------------------------------


def test_the_set_up_names_every_extra_and_every_command():
    import tomllib

    from llmcourse import cli

    page = text(APPENDIX / "setup.md")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for extra in project["optional-dependencies"]:
        assert f"| `{extra}` |" in page, f"the extra {extra!r} is not in setup.md"
    parser = cli._parser()
    commands = next(set(a.choices) for a in parser._actions if isinstance(a.choices, dict))
    listed = set(re.findall(r"`([a-z]+)`", page))
    assert commands and commands <= listed, f"not in setup.md: {sorted(commands - listed)}"


# The notation's table knows a formula's letters where a chapter uses them more than now and then.
OFTEN = 4


def symbols(latex: str) -> set[str]:
    latex = re.sub(
        r"\\(text|mathrm|operatorname|mathit)\*?\{[^}]*\}|\\(begin|end)\{\w+\*?\}", "", latex
    )
    greek = (
        "alpha beta gamma delta Delta epsilon varepsilon eta theta kappa lambda mu nu xi pi rho "
        "sigma Sigma tau phi varphi Phi chi psi omega ell nabla zeta Lambda"
    ).split()
    pattern = r"\\(?:" + "|".join(greek) + r")(?![a-z])|(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])"
    return set(re.findall(pattern, latex))


def test_symbols_that_chapters_use_are_in_the_notation():
    page = text(APPENDIX / "notation.md")
    head, _, second = page.partition("## Letters with a second meaning")
    general = set().union(*(symbols(r.split("|")[1]) for r in head.split("\n") if r[:1] == "|"))
    own: dict[str, set[str]] = {}
    for row in re.findall(r"^\| ([a-z0-9, ]+) \| (.*?) \|", second, re.M):
        for chapter in row[0].split(", "):
            own.setdefault(chapter, set()).update(symbols(row[1]))
    # Indices, and letters that a sentence introduces for itself.
    free = set("ijkltuvnmreSsxd") | {"e", "c"}
    missing = {}
    for path in PAGES:
        if path.suffix != ".ipynb" or path.stem == "project":
            continue
        prose = text(path)
        found: dict[str, int] = {}
        flat = re.sub(r"\$\$.+?\$\$", "", prose, flags=re.S)
        for latex in re.findall(r"\$\$(.+?)\$\$", prose, re.S) + re.findall(r"\$([^$\n]+)\$", flat):
            for symbol in symbols(latex):
                found[symbol] = found.get(symbol, 0) + 1
        known = general | own.get(path.stem, set()) | free
        if left := sorted(s for s, n in found.items() if n >= OFTEN and s not in known):
            missing[path.stem] = left
    assert not missing, f"not in notation.md: {missing}"
