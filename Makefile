# Every target does its own set-up: an environment in .venv with exactly requirements.txt and this package in it.
PYTHON ?= python3
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
# The public address of this repository. While it is empty, the book has no launch button and no edit link.
REPOSITORY_URL ?=

BIN := .venv/bin/python
READY := .venv/.ready

export REPOSITORY_URL
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# One thread a notebook: they run side by side, and sums come out in the same order on every machine.
export OMP_NUM_THREADS := 1
unexport MPLBACKEND

.DEFAULT_GOAL := help
.PHONY: help book test lab serve notebooks editions pins clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

book: $(READY) ## Build the book in _build/html from the outputs stored in the notebooks
	@$(BIN) -m tools.book

test: $(READY) ## Check the style, the package and the outputs of every notebook
	@$(BIN) -m ruff check .
	@$(BIN) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --slowest 10 \
		--nbval --nbval-cell-timeout 240 tests book

lab: $(READY) ## Open the chapters in JupyterLab
	@$(BIN) -m jupyterlab --notebook-dir book

serve: book ## Serve the built book on http://localhost:8000
	@$(BIN) -m http.server --directory _build/html 8000

notebooks: $(READY) ## Execute the notebooks that changed and store their outputs in place
	@$(BIN) -m tools.store --jobs $(JOBS)

editions: $(READY) ## Write the learner's and the instructor's notebooks to _build/editions
	@$(BIN) -m tools.editions

pins: ## Renew requirements.txt with the newest versions that pyproject.toml allows
	@$(PYTHON) -m tools.pins

clean: ## Remove everything that was built; the environment stays
	rm -rf _build .pytest_cache .ruff_cache

# The mark is written last, so that an install cut short is done again, from an empty environment.
$(READY): requirements.txt pyproject.toml
	@$(PYTHON) tools/check_python.py
	@test -e $@ || $(PYTHON) -m venv --clear .venv
	@rm -f $@
	$(BIN) -m pip install --quiet --requirement requirements.txt
	@touch $@
