"""The course from the shell: `llmcourse train|sample|chat|finetune|check|hint|progress|build|…`.

Nothing is parsed or loaded on import; each command loads what it needs. A mistake of the user's is
one line on standard error and exit status 1 (2 where the arguments do not parse, or the file given
to `finetune` is at fault); set LLMCOURSE_TRACEBACK=1 to see where it was noticed.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

__all__ = ["UserError", "main"]

SIZES = ("tiny", "small", "medium")


class UserError(Exception):
    """Something the user can mend; the message says how."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="llmcourse", description="The course from the shell.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, module: str, help: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        made.set_defaults(run=f"{module}:{name}", refusal=1)
        return made

    train = command("train", "models", "train a GPT on a text of yours, or on one of the course's")
    train.add_argument(
        "--data", default="python-docs", help="python-docs, tales, tinyshakespeare, or a text file"
    )
    train.add_argument("--size", choices=SIZES, default="small", help="of the model")
    train.add_argument("--steps", type=int, help="how long; by default it follows from the size")
    train.add_argument("--batch", type=int, default=8, help="sequences a step")
    train.add_argument("--lr", type=float, default=2e-3, help="learning rate at its peak")
    train.add_argument("--out", help="folder for the run; by default runs/DATA-SIZE")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--stories", type=int, default=20_000, help="with --data tales: how many")
    train.add_argument("--language", choices=("en", "zh"), default="en", help="with --data tales")
    train.add_argument(
        "--anew", action="store_true", help="forget the run in the folder instead of going on"
    )

    sample = command("sample", "models", "let a model write")
    sample.add_argument("model", nargs="?", default="tales", help="a run's folder, or tales")
    sample.add_argument("--adapter", help="a folder that `llmcourse finetune` made, instead")
    sample.add_argument("--prompt", default="", help="what the text begins with")
    sample.add_argument("--max-new", type=int, default=200, help="tokens at most")
    sample.add_argument("--temperature", type=float, help="0 is greedy; 1 by default")
    sample.add_argument("--top-k", type=int)
    sample.add_argument("--top-p", type=float)
    sample.add_argument("--min-p", type=float)
    sample.add_argument("--repetition", type=float, help="penalty; 1 is none")
    sample.add_argument("--language", choices=("en", "zh"), default="en", help="of a tale")
    sample.add_argument("--seed", type=int, help="the same seed gives the same text")
    sample.add_argument("-n", type=int, default=1, help="how many texts")

    chat = command("chat", "chat", "talk with a model: stories, sums, Python's documentation")
    chat.add_argument("--model", default="tales-assistant", help="a shipped one, or a folder")
    chat.add_argument("--language", choices=("en", "zh"), default="en", help="of the talk")
    chat.add_argument("--temperature", type=float, help="0, the default, is greedy")
    chat.add_argument("--top-k", type=int)
    chat.add_argument("--top-p", type=float)
    chat.add_argument("--min-p", type=float)
    chat.add_argument("--repetition", type=float, help="penalty; 1 is none")
    chat.add_argument("--max-new", type=int, default=64, help="tokens of an answer at most")
    chat.add_argument("--seed", type=int, help="the same seed gives the same talk")
    chat.add_argument("--no-tools", action="store_true", help="no calculator, no search")

    tune = command("finetune", "finetune", "adapt a model to one task: a file of yours")
    tune.set_defaults(refusal=2)
    tune.add_argument(
        "file", help='JSON lines such as {"prompt": "…", "answer": "…"} or {"text": "…"}, or a .txt'
    )
    tune.add_argument("--model", default="tales", help="tales, gpt2-mini, or a model's folder")
    tune.add_argument(
        "--field", nargs="+", metavar="NAME", help="the file's names of prompt and answer, or text"
    )
    tune.add_argument("--rank", type=int, default=8, help="of the adapters (LoRA)")
    tune.add_argument("--full", action="store_true", help="train all parameters, no adapters")
    tune.add_argument("--steps", type=int, default=300)
    tune.add_argument("--batch", type=int, default=8, help="records a step")
    tune.add_argument("--lr", type=float, help="peak learning rate; by default 5e-3, --full 5e-4")
    tune.add_argument("--out", help="folder for the result; by default runs/FILE-MODEL")
    tune.add_argument("--seed", type=int, default=0, help="of split, adapters and batches")
    tune.add_argument("--threads", type=int, default=1, help="1 makes runs repeat to the bit")
    tune.add_argument("--anew", action="store_true", help="forget the run in the folder")

    check = command("check", "graded", "check an answer: llmcourse check attention.sdpa mine.py")
    check.add_argument("id", help="of the exercise, such as attention.sdpa")
    check.add_argument("file", help="a Python file that defines the function of that name")
    for name, help in (
        ("hint", "reveal one more hint: the idea, pseudocode, nearly the code"),
        ("solution", "show one way to solve an exercise"),
    ):
        command(name, "graded", help).add_argument("id", help="of the exercise")
    progress = command("progress", "graded", "show which exercises have been passed")
    progress.add_argument("--all", action="store_true", help="list each exercise")
    progress.add_argument(
        "--quiz", metavar="FILE", help="first take the quiz results that a page of the book saved"
    )

    build = command("build", "site", "execute the notebooks and build the book")
    build.add_argument("--fresh", action="store_true", help="forget earlier executions")
    serve = command("serve", "site", "show the built book in your browser")
    serve.add_argument("--port", type=int, default=8000, help="the first to try")
    serve.add_argument("--folder", help="of the built book; by default _build/html")

    command("doctor", "doctor", "say what is installed, what is missing, and what each lack costs")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a console without ✓ still gets its line
    options = _parser().parse_args(arguments)
    module, _, name = options.run.partition(":")
    try:
        run = getattr(importlib.import_module(f"llmcourse.cli.{module}"), name)
        return int(run(options) or 0)
    except KeyboardInterrupt:
        print("\nllmcourse: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `llmcourse sample | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (UserError, ValueError, OSError, ArithmeticError) as error:
        if os.environ.get("LLMCOURSE_TRACEBACK"):
            raise
        said = " ".join(str(error).split()) or type(error).__name__
        print(f"llmcourse: {said}", file=sys.stderr)
        return options.refusal
