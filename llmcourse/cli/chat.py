"""`llmcourse chat`: a conversation in the terminal, or line by line through a pipe.

Answers stream as they are written. Ctrl-C stops the one being written and keeps the talk, Ctrl-D
leaves. All that is shown, of the model or of what was typed, is freed of control characters.
"""

import argparse
import contextlib
import json
import os
import random
import secrets
import sys
from pathlib import Path
from typing import Any

from llmcourse import assistant, checkpoint, dialogue, models, tales, toolbox
from llmcourse.cli import UserError
from llmcourse.cli.models import _open

__all__ = ["chat"]

HELP = """\
  /help            this
  /reset           forget the talk and begin anew
  /save FILE       write the whole talk as JSON lines; /save! FILE also over an older file
  /lang en|zh      the language of the talk
  /story [TEXT]    tell it a story and keep that in mind: yours, or a new one of the course's
  /quit            leave (Ctrl-D does, too)
Ctrl-C stops an answer and keeps the talk. What no command fits is said to the model; a line that
begins with a slash of its own is written with two."""
NAMES = ("temperature", "top_k", "top_p", "min_p", "repetition")


def chat(options: argparse.Namespace) -> int:
    """Talk until the input ends."""
    for stream in (sys.stdin, sys.stdout):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    model, tokenizer = _load(options.model)
    given = {n: getattr(options, n) for n in NAMES if getattr(options, n) is not None}
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    # The course's assistant was taught what a talk without tools is.
    bare = options.no_tools and options.model == "tales-assistant"
    system = assistant.NO_TOOLS[options.language] if bare else None
    session = dialogue.Session(
        model, tokenizer, language=options.language, max_new=options.max_new, seed=seed,
        system=system, tools={} if options.no_tools else toolbox.standard(), **given,
    )  # fmt: skip
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    terminal = Terminal(session, options.model, seed, at_terminal)
    if at_terminal:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401  (arrow keys in `input`)
        terminal.say(f"{options.model} reads {model.config.context} tokens. /help lists commands.")
    terminal.loop()
    return 0


def _load(name: str) -> tuple[Any, Any]:
    """A shipped model by name, or one in a folder."""
    folder, home = Path(name), Path(models.__file__).parent
    if not folder.exists() and name not in models.names():
        raise UserError(
            f"there is no folder {name}, and no shipped model of that name; those are "
            f"{', '.join(models.names())}"
        )
    # The course's own share the tokens of the tales, and have no tokenizer.json.
    if not folder.exists() or folder.resolve().parent == home:
        return models.load(folder.name)
    return _open(name)


class Terminal:
    """What is typed and shown; the talk itself is the session's."""

    def __init__(self, session: dialogue.Session, model: str, seed: int, at_terminal: bool) -> None:
        self.session, self.at_terminal = session, at_terminal
        self.model, self.seed = model, seed
        self.told = random.Random(f"stories {seed}")
        self.going = True

    def say(self, text: str) -> None:
        """A line that is not the model's."""
        for line in text.split("\n"):
            print(f"[{dialogue.visible(line)}]" if line.strip() else "", flush=True)

    def loop(self) -> None:
        while self.going:
            try:
                line = input("you> ") if self.at_terminal else sys.stdin.readline()
            except EOFError:
                break
            except KeyboardInterrupt:
                if not self.at_terminal:
                    raise
                print()
                self.say("nothing is being written; Ctrl-D leaves")
                continue
            if not self.at_terminal and not line:
                break
            self.take(line.rstrip("\r\n"))
        if self.at_terminal:
            print()

    def take(self, line: str) -> None:
        """One line: a command, or something said."""
        if line.startswith("/") and not line.startswith("//"):
            self.command(line)
        elif line.strip() or self.at_terminal is False:
            self.answer(line[1:] if line.startswith("//") else line)

    def command(self, line: str) -> None:
        name, _, rest = line.partition(" ")
        known = {
            "/help": lambda: print(HELP, flush=True),
            "/reset": self.reset,
            "/save": lambda: self.save(rest.strip(), over=False),
            "/save!": lambda: self.save(rest.strip(), over=True),
            "/lang": lambda: self.language(rest.strip()),
            "/story": lambda: self.story(rest.strip()),
            "/quit": self.quit,
        }
        if name not in known:
            self.say(f"there is no command {name[:20]}; /help lists them, // begins a message")
            return
        known[name]()

    def reset(self) -> None:
        self.session.reset()
        self.say("the talk begins anew")

    def quit(self) -> None:
        self.going = False

    def language(self, name: str) -> None:
        try:
            self.session.language = name
        except ValueError as error:
            self.say(str(error))
            return
        self.say(f"the talk is marked as {name}")

    def story(self, text: str) -> None:
        self.session.unpin()
        if not text:
            seed = self.told.randrange(2**31)
            tale = tales.generate(seed=seed, n=1, language=self.session.language, split="test")[0]
            text = tale.text
            print(text, flush=True)
        self.answer(text, pin=True)

    def save(self, name: str, over: bool) -> None:
        """Every turn of the talk, forgotten ones too, after a line that says how it was held."""
        if not name:
            self.say("/save needs the name of a file")
            return
        path = Path(name).expanduser()
        if path.exists() and not over:
            self.say(f"{path} exists and is left as it is; /save! {path} writes over it")
            return
        about = {
            "format": "llmcourse.chat", "version": 1, "model": self.model, "seed": self.seed,
            "language": self.session.language, **self.session.choices,
            "forgotten exchanges": self.session.forgotten,
        }  # fmt: skip
        rows = [about]
        for turn in self.session.said:
            row = {"role": turn.role, "text": turn.text}
            rows.append(row | {k: True for k in ("pinned", "stopped") if getattr(turn, k)})
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        replaced = path.exists()
        try:
            checkpoint.write_file(path, lines.encode("utf-8", "surrogatepass"))
        except OSError as error:
            self.say(f"not saved: {error}")
            return
        turns = len(rows) - 1
        self.say(f"{turns} turns are in {path}{', in place of what it held' if replaced else ''}")

    def answer(self, text: str, pin: bool = False) -> None:
        """Say it, and show what comes back until it ends or is stopped."""
        self.notice(text)
        events = None
        try:
            events = self.session.say(text, pin=pin or _is_tale(text, self.session.language))
            for event in events:
                self.show(event)
        except ValueError as error:
            self.say(str(error))
        except KeyboardInterrupt:
            if events is not None:
                events.close()
            print(flush=True)
            self.say("stopped; the talk goes on")

    def show(self, event: dialogue.Event) -> None:
        match event:
            case dialogue.Piece(text):
                print(dialogue.visible(text), end="", flush=True)
            case dialogue.Called(call):
                self.say(f"calls: {call}")
            case dialogue.Result(text, shown, failed):
                self.say(f"{'failed' if failed else 'finds'}: {text}")
                if shown:
                    print(_quoted(shown), flush=True)
            case dialogue.Forgot(new, total):
                kept = any(turn.pinned for turn in self.session.said)
                what = "exchange is" if new == 1 else f"{new} exchanges are"
                self.say(
                    f"the context is full: the oldest {what} forgotten, {total} in all"
                    + ("; the story is kept" if kept else "")
                )
            case dialogue.Ended(why):
                print(flush=True)
                if why == "length":
                    self.say(f"cut off after {self.session.max_new} tokens")
                if why == "steps":
                    self.say(f"no answer after {self.session.steps} calls")

    def notice(self, text: str) -> None:
        """Say it where the message is in another language than the talk, or in none it knows."""
        found = dialogue.language_of(text)
        if found not in (None, self.session.language):
            known = found in tales.LANGUAGES
            self.say(
                f"this looks like {found}; the talk is marked as {self.session.language}"
                + (f", /lang {found} changes it" if known else ", and the model knows en and zh")
            )


def _is_tale(text: str, language: str) -> bool:
    """Whether a message is a whole story of the tales: then it is kept in mind."""
    try:
        tales.parse(text, language)
    except ValueError:
        return False
    return True


def _quoted(passage: str, lines: int = 6) -> str:
    """The beginning of a passage, as a quotation."""
    rows = passage.split("\n")
    shown = [f"  | {dialogue.visible(row)}"[: max(20, _width())] for row in rows[:lines]]
    return "\n".join([*shown, *(["  | …"] if len(rows) > lines else [])])


def _width() -> int:
    try:
        return os.get_terminal_size().columns - 1
    except OSError:
        return 100
