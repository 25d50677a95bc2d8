"""`llmcourse build|serve`: the book on this machine."""

import argparse
import functools
import http.server
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

from llmcourse.cli import UserError

__all__ = ["build", "serve"]

PORTS_TRIED = 20


def _root() -> Path:
    """The folder of the book's sources: here or above, else where the package was installed from.

    Raises:
        UserError: this installation has no sources beside it.
    """
    here = Path.cwd()
    installed = Path(__file__).resolve().parents[2]
    for folder in (here, *here.parents, installed):
        if (folder / "_toc.yml").is_file() and (folder / "llmcourse").is_dir():
            return folder
    raise UserError(
        "the book's sources are not here: run this inside a clone of the course "
        "(the folder that holds _toc.yml)"
    )


def build(options: argparse.Namespace) -> int:
    """Build the book with warnings as errors."""
    root = _root()
    program = Path(sys.executable).with_name("jupyter-book")
    found = shutil.which(str(program)) or shutil.which("jupyter-book")
    if found is None:
        raise UserError('jupyter-book is not installed: pip install -e ".[book]"')
    if options.fresh:
        shutil.rmtree(root / "_build" / ".jupyter_cache", ignore_errors=True)
    # One thread a process, as `make book` does: notebooks run beside each other.
    environment = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", **os.environ}
    command = [found, "build", "-W", "--keep-going", str(root)]
    done = subprocess.run(command, env=environment, check=False)
    if done.returncode:
        raise UserError(
            "the book was not built without warnings; each is above, with its file and line, and "
            "the reports of notebooks that failed lie in _build/html/reports"
        )
    print(f"The book is at {root / '_build' / 'html' / 'index.html'}; `llmcourse serve` shows it.")
    return 0


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Files only; a reader who closes a page early is no error."""

    # Windows may know .js and .mjs as text/plain, and browsers then refuse modules.
    extensions_map: ClassVar = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *arguments: object) -> None:
        pass

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


class _Server(http.server.ThreadingHTTPServer):
    # On Windows, reuse would let two servers share a port; elsewhere it only skips a wait.
    allow_reuse_address = os.name != "nt"
    daemon_threads = True


def serve(options: argparse.Namespace) -> int:
    """Serve the built book to this machine alone until Ctrl-C."""
    folder = Path(options.folder) if options.folder else _root() / "_build" / "html"
    if not (folder / "index.html").is_file():
        raise UserError(f"there is no book in {folder}: `make book` or `llmcourse build` makes it")
    if not 0 <= options.port <= 65535:
        raise UserError(f"a port lies between 0 and 65535, got {options.port}")
    handler = functools.partial(_Handler, directory=str(folder))
    last = min(options.port + PORTS_TRIED, 65536)
    for port in range(options.port, last):
        try:
            server = _Server(("127.0.0.1", port), handler)
        except (OSError, OverflowError):
            continue
        break
    else:
        raise UserError(f"ports {options.port} to {last - 1} are taken: name another with --port")
    with server:
        if server.server_port != options.port and options.port:
            print(f"Port {options.port} is taken.")
        print(f"The book is at http://127.0.0.1:{server.server_port}/ (Ctrl-C stops)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0
