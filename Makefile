# Two commands: `make lab` to work, `make test` to check. Both set up everything they need in .venv.

PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2

.PHONY: lab test bench pictures lint clean

# The stamp is newer than what it was made from, or the environment is made again.
.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -c constraints.txt -e '.[test,quantized,cluster]'
	$(BIN)/python -m workbench.kernels
	$(BIN)/python -m workbench.samplers
	@touch $@

lab: .venv/installed
	$(BIN)/workbench lab

test: .venv/installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

bench: .venv/installed
	$(BIN)/python -m tests.benchmarks

pictures: .venv/installed
	$(BIN)/python -m tests.browser.pictures

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.notebooks_are_clean

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
