# make demo | test | check | bench | chaos | conformance | format      (everything lives in .venv; nothing else is touched)
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test check bench chaos conformance format clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nbflow needs Python 3.11 or newer; try: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: install
	$(BIN)/python notebooks/demo.py

test: install
	$(BIN)/python -m pytest

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install
	$(BIN)/python -m benchmarks

# Kills and pauses real processes, from ten seeds, and proves that nothing is lost. SEEDS="1 2" for others.
chaos: install
	$(BIN)/python -m tests.chaos $(if $(SEEDS),--seeds $(SEEDS))
	$(BIN)/python -m tests.chaos.on_dask $(if $(SEEDS),--seeds $(SEEDS))

conformance: install
	$(BIN)/python -m benchmarks.conformance

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build dist
