"""The book's own directives: `quiz`, `selftest`, `answer`. Add `llmcourse.sphinxext` to the
extensions.

    ```{quiz} attention
    1. Question?
       - [ ] wrong option
         Why it is wrong.
       - [x] right option
         Why it is right.
    ```

    ```{selftest} primer-start
    1. Question?
       - [ ] ... as in a quiz, and after the options the section for those who miss it:

       Read: [Shapes](#shapes)
    ```

    ```{answer} attention.sdpa
    `hint("attention.sdpa")` and `solution("attention.sdpa")` help.
    ```

All work without JavaScript: explanations, hints and solutions unfold. With it, a quiz is chosen
first and revealed after, and a self-test lists what to read. A quiz that is malformed and an
exercise that is unknown fail the build.
"""

import re
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

__all__ = ["Option", "Question", "parse_quiz", "setup"]

STATIC = Path(__file__).parent / "static"
QUESTIONS = 5
WORDS = {
    "en": {
        "right": "Right.",
        "wrong": "Not this one.",
        "why": "Explanation",
        "check": "Check",
        "choose": "Choose an option first.",
        "yours": "your choice",
        "score": "{right} of {answered} answered were right at first choice; {left} to go.",
        "done": "{right} of {answered} right at first choice.",
        "again": "Start again",
        "save": "Save all results",
        "saved": "Saved; “llmcourse progress --quiz FILE” counts what the file tells.",
        "missed": "If you missed it, read",
        "start": "Read first:",
        "none": "Nothing missed: go on to the next chapter.",
        "hint1": "Hint 1: the idea",
        "hint2": "Hint 2: pseudocode",
        "hint3": "Hint 3: nearly the code",
        "solution": "One solution",
    },
    "zh": {
        "right": "正确。",
        "wrong": "不对。",
        "why": "解释",
        "check": "检查",
        "choose": "请先选一项。",
        "yours": "你的选择",
        "score": "已答 {answered} 题，首选正确 {right} 题，还有 {left} 题。",
        "done": "{answered} 题中首选正确 {right} 题。",
        "again": "重新开始",
        "save": "保存全部结果",
        "saved": "已保存；用“llmcourse progress --quiz 文件”计入进度。",
        "missed": "答错请读",
        "start": "请先读：",
        "none": "全部答对：可直接进入下一章。",
        "hint1": "提示一：思路",
        "hint2": "提示二：伪代码",
        "hint3": "提示三：接近代码",
        "solution": "一种解法",
    },
}

Lines = list[tuple[int, str]]  # (line of the directive's content, text)


@dataclass
class Option:
    right: bool
    text: str
    line: int
    why: Lines = field(default_factory=list)


@dataclass
class Question:
    line: int
    text: Lines = field(default_factory=list)
    options: list[Option] = field(default_factory=list)
    read: Lines = field(default_factory=list)  # a self-test's section to read


def parse_quiz(lines: list[str], *, selftest: bool = False) -> list[Question]:
    """Questions of a quiz's content, or of a self-test's, each of which names what to read.

    Raises:
        ValueError: not five questions (a self-test: fewer); a question without text, with fewer
            than two options, or without exactly one right; an option without text or explanation;
            a section to read that is missing, or stands in a quiz; a stray line.
    """
    questions: list[Question] = []
    fenced = False
    for number, line in enumerate(lines):
        numbered = re.match(r"(\d+)\.\s+(.*)", line)
        option = re.match(r"\s*[-*+] \[([ xX])\]\s*(.*)", line)
        if not fenced and numbered:
            if int(numbered[1]) != len(questions) + 1:
                raise ValueError(f"question {len(questions) + 1} is numbered {numbered[1]}")
            questions.append(Question(number, [(number, numbered[2])]))
        elif not fenced and option and questions:
            questions[-1].options.append(Option(option[1] != " ", option[2].strip(), number))
        elif not fenced and questions and re.match(r"\s*Read: \S", line):
            questions[-1].read.append((number, line.strip().removeprefix("Read: ")))
        elif questions:
            last = questions[-1]
            (last.options[-1].why if last.options else last.text).append((number, line))
            fenced ^= line.strip().startswith(("```", "~~~"))
        elif line.strip():
            raise ValueError(f"text before the first question: {line.strip()!r}")
    if selftest and len(questions) < QUESTIONS:
        raise ValueError(f"a self-test has {QUESTIONS} questions or more, got {len(questions)}")
    if not selftest and len(questions) != QUESTIONS:
        raise ValueError(f"a quiz has {QUESTIONS} questions, got {len(questions)}")
    for index, question in enumerate(questions, 1):
        _validate(f"question {index}", question)
        if len(question.read) != selftest:
            rule = "names one section to read" if selftest else "of a quiz names no section to read"
            raise ValueError(f"question {index} {rule}, got {len(question.read)}")
    return questions


def _validate(name: str, question: Question) -> None:
    if not any(text.strip() for _, text in question.text):
        raise ValueError(f"{name} has no text")
    if len(question.options) < 2:
        raise ValueError(f"{name} needs two options at least, got {len(question.options)}")
    right = sum(option.right for option in question.options)
    if right != 1:
        raise ValueError(f"{name} needs one right option, got {right}")
    for option in question.options:
        if not option.text:
            raise ValueError(f"{name} has an option without text")
        if not any(text.strip() for _, text in option.why):
            raise ValueError(f"{name}: the option {option.text!r} has no explanation")


class quiz(nodes.General, nodes.Element):
    """A quiz: children are `quiz_question`."""


class quiz_question(nodes.General, nodes.Element):
    """First child a container with the question's text, then `quiz_option`s."""


class quiz_option(nodes.General, nodes.Element):
    """First child a container with the option's text, second one with its explanation."""


class quiz_read(nodes.General, nodes.Element):
    """What to read for those who missed a self-test's question: a container."""


class fold(nodes.General, nodes.Element):
    """Content that unfolds under the title in `title`."""


def words(config: Any) -> dict[str, str]:
    """The interface's few words in the book's language."""
    return WORDS["zh" if str(config.language or "en").startswith("zh") else "en"]


class _Directive(SphinxDirective):
    has_content = True
    required_arguments = 1

    def _parse(self, lines: Lines) -> nodes.container:
        """Markdown to nodes, with the line numbers of the source."""
        box = nodes.container()
        text = textwrap.dedent("\n".join(line for _, line in lines)).split("\n")
        source = self.env.doc2path(self.env.docname)
        offset = lines[0][0] if lines else 0
        items = [(source, self.content_offset + offset + i) for i in range(len(text))]
        self.state.nested_parse(StringList(text, items=items), self.content_offset + offset, box)
        return box


class QuizDirective(_Directive):
    """Five questions, chosen and then revealed."""

    selftest = False

    def run(self) -> list[nodes.Node]:
        name = directives.unchanged(self.arguments[0])
        if not re.fullmatch(r"[a-z0-9-]+", name):
            raise self.error(f"a quiz's name is lower-case letters, digits and '-', got {name!r}")
        try:
            questions = parse_quiz(list(self.content), selftest=self.selftest)
        except ValueError as error:
            raise self.error(f"quiz {name!r}: {error}") from None
        node = quiz(name=name, key=f"{self.env.docname}:{name}")
        for question in questions:
            asked = quiz_question()
            first, *rest = question.text
            body = textwrap.dedent("\n".join(line for _, line in rest)).split("\n")
            numbers = [number for number, _ in rest] or [first[0]]
            asked += self._parse([first, *zip(numbers, body, strict=False)])
            for option in question.options:
                choice = quiz_option(right=option.right)
                choice += self._parse([(option.line, option.text)])
                choice += self._parse(option.why)
                asked += choice
            for line in question.read:
                section = quiz_read()
                section += self._parse([line])
                asked += section
            node += asked
        self.set_source_info(node)
        return [node]


class SelftestDirective(QuizDirective):
    """Questions before a chapter, each with the section to read for those who miss it."""

    selftest = True


class AnswerDirective(_Directive):
    """An exercise's three hints and its solution, each folded, from their single source."""

    def run(self) -> list[nodes.Node]:
        from llmcourse.exercises import registry

        try:
            exercise = registry.find(self.arguments[0])
        except ValueError as error:
            raise self.error(str(error)) from None
        module = sys.modules[exercise.solution.__module__]
        self.env.note_dependency(str(module.__file__))
        said = words(self.config)
        box = nodes.container(classes=["answer"])
        if self.content:
            box += self._parse(list(enumerate(self.content))).children
        for stage, hint in enumerate(exercise.hints, 1):
            folded = fold(title=said[f"hint{stage}"])
            folded += self._hint(textwrap.dedent(hint).strip(), stage)
            box += folded
        folded = fold(title=said["solution"])
        folded += _code(registry.source(exercise))
        box += folded
        return [box]

    def _hint(self, text: str, stage: int) -> list[nodes.Node]:
        """A later hint of several lines is code unless it is fenced itself; the rest is prose."""
        if stage > 1 and "\n" in text and "```" not in text:
            return [_code(text, "python" if stage == 3 else "text")]
        return self._parse([(0, line) for line in text.split("\n")]).children


def _code(source: str, language: str = "python") -> nodes.literal_block:
    block = nodes.literal_block(source, source, language=language)
    # Pseudocode may not be Python: highlight what can be, without a warning.
    block["highlight_args"] = {"force": True}
    return block


def _phrase(writer: Any, box: nodes.Element) -> bool:
    """Write the first paragraph of `box` as phrasing content; say whether there was one."""
    if not box.children or not isinstance(box.children[0], nodes.paragraph):
        return False
    for child in box.children[0].children:
        child.walkabout(writer)
    return True


def visit_quiz(writer: Any, node: quiz) -> None:
    said = words(writer.builder.config)
    labels = " ".join(
        f'data-{key}="{writer.attval(said[key])}"'
        for key in (
            *"right wrong check choose yours score done again save saved".split(),
            *(("start", "none") if node.next_node(quiz_read) else ()),
        )
    )
    key = writer.attval(node["key"])
    writer.body.append(f'<div class="quiz" data-quiz="{key}" {labels}>\n')


def depart_quiz(writer: Any, node: quiz) -> None:
    writer.body.append("</div>\n")


def visit_question(writer: Any, node: quiz_question) -> None:
    number = node.parent.index(node) + 1
    text, *options = node.children
    writer.body.append(f'<fieldset class="quiz-question"><legend><span>{number}.</span> ')
    rest = text.children[1:] if _phrase(writer, text) else text.children
    writer.body.append("</legend>\n")
    for child in rest:
        child.walkabout(writer)
    for option in options:
        option.walkabout(writer)
    writer.body.append("</fieldset>\n")
    raise nodes.SkipNode


def visit_option(writer: Any, node: quiz_option) -> None:
    said = words(writer.builder.config)
    question = node.parent
    number, place = question.parent.index(question) + 1, question.index(node)
    name = f"quiz-{question.parent['name']}-{number}"
    right = "true" if node["right"] else "false"
    writer.body.append(
        f'<div class="quiz-option" data-answer="{right}"><label>'
        f'<input type="radio" name="{name}" value="{place}" /> <span class="quiz-letter">'
        f'{chr(64 + place)}</span> <span class="quiz-text">'
    )
    text, why = node.children
    _phrase(writer, text)
    verdict = said["right"] if node["right"] else said["wrong"]
    mark = "✓" if node["right"] else "✗"
    writer.body.append(
        f'</span></label>\n<details class="quiz-why"><summary>{said["why"]}</summary>'
        f'<div class="quiz-body"><strong class="quiz-mark"><span aria-hidden="true">{mark}</span> '
        f"{verdict}</strong>\n"
    )
    for child in why.children:
        child.walkabout(writer)
    writer.body.append("</div></details></div>\n")
    raise nodes.SkipNode


def visit_read(writer: Any, node: quiz_read) -> None:
    said = writer.encode(words(writer.builder.config)["missed"])
    writer.body.append(f'<p class="quiz-read">{said} <span>')
    _phrase(writer, node.children[0])
    writer.body.append("</span></p>\n")
    raise nodes.SkipNode


def visit_fold(writer: Any, node: fold) -> None:
    title = writer.encode(node["title"])
    writer.body.append(f'<details class="fold"><summary>{title}</summary>\n')


def depart_fold(writer: Any, node: fold) -> None:
    writer.body.append("</details>\n")


def ignore(writer: Any, node: nodes.Element) -> None:
    """Formats without folding show the content in place."""


def add_static(app: Sphinx) -> None:
    if app.builder.format == "html":
        app.config.html_static_path.append(str(STATIC))


def plain_citations(app: Sphinx, page: str, template: str, context: dict, tree: Any) -> None:
    """Drop roles that Sphinx gives a list of citations and ARIA does not allow together."""
    if "citation-list" in context.get("body", ""):
        body = context["body"].replace(
            '<div role="list" class="citation-list">', '<div class="citation-list">'
        )
        context["body"] = body.replace(' role="doc-biblioentry"', "")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives, their nodes for every writer, the style and the script."""
    plain = {name: (ignore, ignore) for name in ("latex", "text", "man", "texinfo")}
    app.add_node(quiz, html=(visit_quiz, depart_quiz), **plain)
    app.add_node(quiz_question, html=(visit_question, ignore), **plain)
    app.add_node(quiz_option, html=(visit_option, ignore), **plain)
    app.add_node(quiz_read, html=(visit_read, ignore), **plain)
    app.add_node(fold, html=(visit_fold, depart_fold), **plain)
    app.add_directive("quiz", QuizDirective)
    app.add_directive("selftest", SelftestDirective)
    app.add_directive("answer", AnswerDirective)
    app.connect("builder-inited", add_static)
    app.connect("html-page-context", plain_citations)
    app.add_css_file("llmcourse-book.css")
    # A classic script on purpose, deferred: a module would not load from file://.
    app.add_js_file("llmcourse-quiz.js", loading_method="defer")
    app.add_js_file("llmcourse-math.js", loading_method="defer")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
