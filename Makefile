SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
BIN := .venv/bin
PROFILE ?= cpu
TIER ?= default
BENCH ?= *
PROCESSES ?= $(shell n=$$(nproc); echo $$((n > 4 ? 4 : n)))
SELECT_fast := not slow and not engine
SELECT_default := not slow
SELECT_all :=

.PHONY: help setup quickstart test lint format bench lock dist clean venv

help: ## this list
	@echo "make TARGET, where TARGET is"
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' Makefile

setup: ## .venv from the lock, some minutes once (PROFILE=cpu or gpu)
	@PROFILE=$(PROFILE) python3 scripts/setup.py

venv:
	@test -x $(BIN)/python || { echo "no .venv here: run \`make setup\` first" >&2; exit 1; }

quickstart: setup ## see a small model learn to use tools, on this machine
	@echo "== tooldojo quickstart"
	@$(BIN)/tooldojo quickstart

test: setup ## the tests (TIER=fast, default or all; PROCESSES=0 for one; ARGS='-k name' goes to pytest)
	@echo "== pytest, tier $(TIER), $(PROCESSES) processes"
	@case "$(TIER)" in fast|default|all) ;; *) echo "unknown TIER=$(TIER); it is fast, default or all" >&2; exit 1;; esac
	@OMP_WAIT_POLICY=passive $(BIN)/pytest -m "$(SELECT_$(TIER))" -n $(PROCESSES) --no-loadscope-reorder --durations=10 $(ARGS)

lint: venv ## ruff, format, file sizes, pyright
	@echo "== ruff check";    $(BIN)/ruff check .
	@echo "== ruff format";   $(BIN)/ruff format --check .
	@echo "== file sizes";    $(BIN)/python scripts/large_files.py
	@echo "== pyright";       PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright

format: venv ## let ruff fix what it can
	@echo "== ruff check --fix, ruff format"
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

bench: venv ## the measured comparisons (BENCH=name for benchmarks/name.py, ARGS=--quick)
	@for script in benchmarks/$(BENCH).py; do \
	  test -f "$$script" || { echo "no $$script" >&2; exit 1; }; \
	  grep -q '^if __name__' "$$script" || continue; \
	  echo "== $$script"; $(BIN)/python "$$script" $(ARGS); done

lock: venv ## requirements/*.txt from pyproject.toml (ARGS=--upgrade for newer versions)
	@echo "== resolving the locks"
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python scripts/lock.py $(ARGS)

dist: venv ## sdist and wheel in dist/
	@echo "== building sdist and wheel"
	@rm -rf dist build
	@$(BIN)/python -m build --no-isolation --outdir dist . > dist.log 2>&1 \
	  || { tail -n 30 dist.log >&2; exit 1; }
	@rm -f dist.log; ls -l dist

clean: ## build outputs and caches; keeps .venv and runs/
	@echo "== removing build outputs and caches"
	@rm -rf build dist dist.log src/*.egg-info .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
