# Every target sets up what it needs: an environment in .venv with exactly requirements.txt and this package.
PYTHON ?= python3
JOBS ?= $(or $(shell $(BIN) -m tools.cores 2>/dev/null),1)
# A folder of wheels, or the address of an index, with torch's small build without CUDA, for Linux; see README.md.
TORCH_CPU ?=
# Names of the notebooks that `make test-wheel` executes; all if it is empty.
NOTEBOOKS ?=
# The folder that `make lab` opens: the reader's copies of the chapters, or, to write in them, the chapters in `book`.
FOLDER ?= work
# The public address of this repository. If it is empty, the book has no launch buttons and no edit links.
REPOSITORY_URL ?=
# The public address of the book's pages; empty, it is the repository's on GitHub Pages, if the repository is there.
SITE_URL ?=

BIN := .venv/bin/python
READY := .venv/.ready

export REPOSITORY_URL
export SITE_URL
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# One thread per notebook: they run in parallel, and every machine then adds numbers in the same order.
export OMP_NUM_THREADS := 1
# Use UTF-8 in every locale, and none of the user's settings: a user may have no home folder, or a read-only one.
HOME ?= $(CURDIR)/.venv/home
export HOME
export PYTHONUTF8 := 1
export MPLCONFIGDIR := $(CURDIR)/.venv/matplotlib
export IPYTHONDIR := $(CURDIR)/.venv/ipython
export JUPYTER_RUNTIME_DIR := $(CURDIR)/.venv/runtime
export PIP_USER := 0
unexport MPLBACKEND PYTHONHOME PYTHONOPTIMIZE PYTHONPATH PYTHONSAFEPATH PYTHONWARNINGS

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help book test test-browser test-wheel lab serve notebooks teach slides editions assignments html-zip pdf epub notebooks-zip lite answers guide ready speedrun syllabi pins clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

book: $(READY) ## Build the book in _build/html from the outputs stored in the notebooks
	@$(BIN) -m tools.book

test: $(READY) ## Check the style, the package and the outputs of every notebook
	@$(BIN) -m ruff check .
	@$(BIN) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --slowest 10 \
		--nbval --nbval-cell-timeout 240 tests book

test-browser: book slides ## Check the built pages and slides in Chromium, if it is installed
	@$(BIN) -m pytest -m browser tests/browser

test-wheel: $(READY) ## Execute the notebooks against the package's wheel, with Colab's versions
	@$(BIN) -m tools.wheel --jobs $(JOBS) --torch-cpu "$(TORCH_CPU)" $(NOTEBOOKS)

lab: $(READY) ## Open your copies of the chapters, without solutions, in JupyterLab; FOLDER=book opens the chapters
	@$(BIN) -m tools.work
	@$(BIN) -m jupyterlab --notebook-dir "$(FOLDER)"

serve: book ## Serve the built book on http://localhost:8000
	@$(BIN) -m http.server --directory _build/html 8000

notebooks: $(READY) ## Execute the notebooks that changed and store their outputs in place
	@$(BIN) -m tools.store --jobs $(JOBS)

teach: slides editions guide answers assignments ## Make the whole teaching kit in _build/teach
	@$(BIN) -m tools.teach

slides: $(READY) ## Write the slides of the chapters to _build/teach/slides
	@$(BIN) -m tools.slides

editions: $(READY) ## Write the learner's and the instructor's notebooks to _build/editions
	@$(BIN) -m tools.editions

assignments: $(READY) ## Write the students' version of every assignment, and a zip of it, to _build/teach/assignments
	@$(BIN) -m tools.assignments

html-zip: book ## Pack the built book, to be read without a network, in _build/release
	@$(BIN) -m tools.offline html

pdf: book ## Print the built book as one PDF in _build/release, with Chromium
	@$(BIN) -m tools.pdf

epub: $(READY) ## Build the book as an EPUB in _build/release
	@$(BIN) -m tools.epub

notebooks-zip: $(READY) ## Pack the notebooks with their outputs in _build/release
	@$(BIN) -m tools.offline notebooks

lite: $(READY) ## Build the book with a JupyterLite beside it, in which Part I runs in the browser
	@$(BIN) -m tools.lite

answers: $(READY) ## Write the answer booklet, for teachers, in _build/teach; as PDF too, with Chromium
	@$(BIN) -m tools.answers

guide: $(READY) ## Write the instructor's guide in _build/teach; as PDF too, with Chromium
	@$(BIN) -m tools.guide

ready: $(READY) ## Say whether this machine is ready for a lesson, or what is missing
	@$(BIN) -m tools.ready

speedrun: $(READY) ## Check the entries of the speed run and write their tables in results/speedrun.md
	@$(BIN) -m tools.speedrun

syllabi: $(READY) ## Write the tables of the syllabi in course/ from their sessions, the chapters and the objectives
	@$(BIN) -m tools.syllabus

pins: ## Renew requirements.txt with the newest versions that pyproject.toml allows
	@$(PYTHON) -m tools.pins

clean: ## Remove everything that was built; the environment stays
	rm -rf _build .pytest_cache .ruff_cache

# The file is written last, so that an interrupted install starts again from an empty environment. Matplotlib looks for
# fonts when it is first imported; if that takes long it says so, which would differ from a notebook's stored output.
$(READY): requirements.txt pyproject.toml | possible
	@$(PYTHON) tools/check_python.py
	@test -e $@ || $(PYTHON) -m venv --clear .venv
	@rm -f $@
	@$(BIN) -m tools.install --torch-cpu "$(TORCH_CPU)"
	@$(BIN) -c "import matplotlib.font_manager"
	@touch $@

# Checked every time, before anything is made.
.PHONY: possible
possible:
	@test -w . || { echo "This folder cannot be written to, but .venv and _build go here. Work in a copy:" \
		"cp -R '$(CURDIR)' COPY && chmod -R u+w COPY && cd COPY"; exit 1; }
	@test -z "$(TORCH_CPU)" -o ! -e $(READY) || $(BIN) -m tools.install --torch-cpu "$(TORCH_CPU)" --check
