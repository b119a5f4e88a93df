# fuqi. `make help` lists what there is. Every target that needs something sets it up first and may be stopped and run again.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
PY := $(BIN)/python
PACKAGES := contracts ledger signing matching arbitration api
# Extra arguments of the program behind a target: make demo ARGS=--fresh, make test ARGS="-k merkle -x"
ARGS ?=

.PHONY: help demo setup setup-test check lint types house test test-all sim fuzz golden docs bench lock wheel clean

help: ## this list
	@awk 'BEGIN {FS = ":.*## "; print "make …"} /^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo 'ARGS="…" is handed on: make demo ARGS=--fresh   make test ARGS="-k merkle -x"'

demo: setup ## the whole story on this machine: register, import, match, sign, anchor, export, verify (ARGS=--fresh starts anew)
	@$(BIN)/fuqi demo $(ARGS)

setup: ## .venv with the locked packages, and a Chinese font
	@scripts/setup.sh demo

setup-test: # the same and what the tests use beside Python
	@scripts/setup.sh test

check: setup lint types house ## format, lint, types and house rules; needs no service

lint:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types:
	$(BIN)/mypy --strict $(addprefix -p ,$(PACKAGES))

house:
	$(BIN)/pytest -q -m "not slow" tests/house

test: setup-test check ## check, and every test; what a machine lacks is skipped with its reason
	$(BIN)/pytest -q -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

test-all: setup-test check ## the same with many more generated examples (an hour)
	FUQI_HYPOTHESIS=thorough $(BIN)/pytest -q --timeout 3600 $(ARGS)

sim: setup ## many seeded runs of the submitter against a faulty chain (SEED=n replays one, SEEDS=n how many)
	@$(BIN)/fuqi sim $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS)) $(ARGS)

fuzz: setup ## odd files against everything that reads files from outside (SECONDS=n, SEED=n; ARGS="--list")
	@$(PY) scripts/fuzz.py --seconds $(or $(SECONDS),60) --seed $(or $(SEED),1) $(ARGS)

golden: setup ## make the golden vectors anew; an unintended change shows in git diff
	@scripts/golden.sh

docs: setup ## bring the tables of docs/reference/ up to date (errors, checks, settings, formats, cli)
	@for name in errors checks settings formats cli; do $(PY) scripts/$${name}_doc.py --write; done

bench: setup-test ## measure side by side; prints a table and writes bench/results/latest.json
	@$(PY) -m bench $(ARGS)

lock: setup ## resolve the dependencies into the lock files (ARGS=--upgrade moves every pin)
	@scripts/lock.sh $(ARGS)

wheel: setup ## build dist/fuqi-*.whl
	@rm -rf dist
	@$(PY) -m build --wheel --no-isolation --outdir dist .

clean: ## remove what was built or installed here; keeps var/, where the demo's data lie
	rm -rf .venv node_modules dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
