# The course's commands. `make` alone lists them. A second run redoes only what changed:
# each finished step leaves a stamp in .make/.

PYTHON ?= python3
PORT   ?= 8000
BIN    := .venv/bin
STAMP  := .make

# One thread a process: two processes share two cores, and a passive wait leaves them to each other.
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= passive
export PYTHONUTF8 = 1
export PYTHONHASHSEED ?= 0
export PYDEVD_DISABLE_FILE_VALIDATION = 1

# Files that are already downloaded, where a neighbouring folder holds them: chapters look there.
ifneq ($(wildcard ../shared/data),)
$(STAMP)/test-notebooks $(STAMP)/book: export LLMCOURSE_DATA ?= $(abspath ../shared/data)
endif

# What a test or a build answers is not the reader's progress.
$(STAMP)/test-package $(STAMP)/test-notebooks $(STAMP)/book: export LLMCOURSE_PROGRESS = $(CURDIR)/$(STAMP)/progress.json

NOTEBOOKS := $(shell find chapters -name '*.ipynb' -not -path '*/.ipynb_checkpoints/*')
PROSE     := $(shell find chapters -name '*.md') $(wildcard *.md) references.bib _toc.yml
PACKAGE   := $(shell find llmcourse -type f -not -path '*/__pycache__/*' -not -name '*.md')
SITE      := _config.yml $(shell find _static assets -type f)
TESTS     := $(shell find tests -type f -name '*.py') $(wildcard tests/data/*)
CHAPTERS  := $(sort $(NOTEBOOKS))

.PHONY: help book epub test lab serve format bench page web clean
.DELETE_ON_ERROR:

help:
	@echo "make book     execute every notebook and build the book"
	@echo "make epub     the book as one file for an e-reader, from the same run"
	@echo "make serve    show the built book at http://localhost:$(PORT)"
	@echo "make lab      open the notebooks in JupyterLab"
	@echo "make test     all tests: package, notebooks, exercises, built book"
	@echo "make format   ruff and nbstripout, before a commit"
	@echo "make bench    speed and quality beside installable peers, about half an hour (ARGS=--quick: less)"
	@echo "make page PAGE=chapters/concepts/ngram    build one page alone, with screenshots"
	@echo "make web      rebuild the live figures from web/ (needs node; readers need not)"
	@echo "make clean    forget what was built (the environment stays)"

book: $(STAMP)/book
	@echo
	@echo "The book is at _build/html/index.html"
	@echo "Open that file, or run 'make serve' (or '$(BIN)/llmcourse serve') and visit the address it prints."

# Nothing runs again: the epub is written from what the book's build has executed.
epub: $(STAMP)/book
	@$(BIN)/jupyter-book build -W --keep-going . --builder custom --custom-builder epub || { \
	  echo "The epub was not built without warnings; each is above."; exit 1; }
	@$(BIN)/pytest tests/test_epub.py
	@echo "The epub is _build/epub/large-language-models-measured.epub"

test: $(STAMP)/test-package $(STAMP)/test-notebooks $(STAMP)/test-book
	@echo "All tests pass."

lab: $(STAMP)/env
	$(BIN)/jupyter lab chapters

serve: $(STAMP)/book
	@echo "The book is at http://localhost:$(PORT)  (Ctrl-C stops; PORT=... chooses another port)"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

format: $(STAMP)/env
	@$(BIN)/ruff check --fix llmcourse tests tools
	@$(BIN)/ruff format llmcourse tests tools
	@if [ -n "$(NOTEBOOKS)" ]; then $(BIN)/nbstripout --keep-id \
	  --extra-keys "metadata.language_info" $(NOTEBOOKS); fi

# Peers that only the bench needs come with it. ARGS="--quick" leaves out what trains for minutes.
bench: $(STAMP)/env
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[bench]"
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.speed $(ARGS)
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.live

page:
	@test -n "$(PAGE)" || { echo "Say which page: make page PAGE=chapters/concepts/ngram"; exit 1; }
	@test -x $(BIN)/jupyter-book || $(MAKE) $(STAMP)/env
	@$(BIN)/python tools/page.py $(PAGE)

# What is built ships in the package: only who changes a live figure needs node and npm.
web: web/node_modules/.package-lock.json
	@cd web && npx tsc -p . && node build.mjs
	@echo "The live figures in llmcourse/widgets/static/ are those of web/src."

web/node_modules/.package-lock.json: web/package-lock.json
	@command -v npm >/dev/null || { \
	  echo "There is no npm: on Debian or Ubuntu, apt install nodejs npm"; exit 1; }
	@cd web && npm ci --no-audit --no-fund
	@touch $@

clean:
	rm -rf _build $(STAMP)/book $(STAMP)/test-* $(STAMP)/page

# The environment. Installed anew when pyproject.toml has other content, not merely another date.
$(STAMP)/env: pyproject.toml
	@mkdir -p $(STAMP)
	@if ! cmp -s pyproject.toml $(STAMP)/pyproject.toml || [ ! -x $(BIN)/python ]; then \
	  command -v $(PYTHON) >/dev/null || { \
	    echo "There is no '$(PYTHON)'. Install Python 3.11 to 3.13, or name it: make PYTHON=/path/to/python3.12"; exit 1; }; \
	  $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	    echo "$(PYTHON) is $$($(PYTHON) --version 2>&1); the course needs Python 3.11 to 3.13."; \
	    echo "Name one: make PYTHON=python3.12"; exit 1; }; \
	  [ -x $(BIN)/python ] || $(PYTHON) -m venv .venv || { rm -rf .venv; \
	    echo "No virtual environment could be made. On Debian or Ubuntu: apt install python3-venv"; exit 1; }; \
	  echo "Installing (about 1.6 GB the first time; only the package index is asked)"; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[book,live,test]" || { \
	    echo "The installation failed; the message above says why. Without a network there is no way"; \
	    echo "round it the first time; with one, run the same command again: it goes on where it stopped."; exit 1; }; \
	  cp pyproject.toml $(STAMP)/pyproject.toml; \
	fi
	@touch $@

# The package's own tests, exercises and laws of the chapters included.
$(STAMP)/test-package: $(STAMP)/env $(PACKAGE) $(TESTS) $(NOTEBOOKS) $(PROSE)
	@echo "Testing the package"
	@$(BIN)/pytest tests -n 2 --dist loadfile --ignore tests/test_book.py -rs || { \
	  echo "A test failed. To run it alone: $(BIN)/pytest tests/test_NAME.py"; exit 1; }
	@touch $@

# Every notebook, or only those that changed while the package did not. A notebook's cells run in
# order in one worker (loadfile).
$(STAMP)/test-notebooks: $(STAMP)/env $(PACKAGE) $(CHAPTERS)
	@echo "Running the notebooks"
	@set -- $(if $(filter-out %.ipynb,$?),$(CHAPTERS),$(filter %.ipynb,$?)); \
	if [ $$# -gt 0 ]; then $(BIN)/pytest -n 2 --dist loadfile -p no:cacheprovider \
	  --nbval-lax --nbval-current-env --nbval-cell-timeout=120 "$$@" || { \
	  echo "A notebook failed; the cell and its error are above. To work on it: make lab"; exit 1; }; fi
	@touch $@

# Laws of the built book, in a real browser where there is one.
$(STAMP)/test-book: $(STAMP)/book tests/test_book.py
	@echo "Testing the built book"
	@$(BIN)/pytest tests/test_book.py -n 2 --dist load -rs || { \
	  echo "The built book breaks a law. To see the page: make serve"; exit 1; }
	@touch $@

# The execution cache does not see the package: when that has changed, every notebook runs again.
$(STAMP)/book: $(STAMP)/env $(PACKAGE) $(NOTEBOOKS) $(PROSE) $(SITE)
	@$(if $(filter llmcourse/%,$?),rm -rf _build/.jupyter_cache,true)
	@echo "Building the book (the first time, minutes: every notebook runs)"
	@$(BIN)/python tools/execute.py
	@$(BIN)/jupyter-book build -W --keep-going --all . || { \
	  echo "The book was not built without warnings; each is above, with its file and line."; \
	  echo "When a notebook failed, its report lies in _build/html/reports/."; exit 1; }
	@touch $@
