# The only entrance. Every target sets up what it needs by itself: git, make and Python 3.11+ with venv are enough.
#   make run TRADEWIND_HTTP_PORT=8081     settings can stand on the command line
#   make test ARGS="-k candles"           more arguments for pytest, bench and tradewind up

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
BOOTSTRAP := $(PYTHON) -I deploy/local/bootstrap.py
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := help
.PHONY: help run test check e2e soak bench dashboards demo-x402 gen lock clean .python .run .dev

help:
	@echo "make run     start everything and watch it (Ctrl-C stops it in order)"
	@echo "make test    the test suite, on real PostgreSQL and NATS"
	@echo "make check   format, lint, types, tidiness, generated files"
	@echo "make e2e     browser, suites and strangers' clients"
	@echo "make soak    the proofs at full size"
	@echo "make bench   measurements with peers beside us, into bench/results"
	@echo "make dashboards  a picture of every dashboard, from the stack that runs"
	@echo "make demo-x402  a stranger pays for a call, offline: 402, pay, 200, ledger"
	@echo "make gen     write the generated files again"
	@echo "make lock    write the lock files again (needs uv)"
	@echo "make clean   remove .venv and caches; data folders stay"

run: .run
	@exec $(BIN)/tradewind up $(ARGS)

# The tests wait more than they compute: three processes, each with servers of its own, fill two cores. The files
# keep their order: the many quick ones come last and fill what is left.
test: .dev
	@$(BIN)/python -m pytest -m "not e2e and not soak" -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

check: .dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_tidy.py
	@$(BIN)/python -m deploy.local.generated --check

# pytest's status 5 says that no test was chosen: true on a checkout without such tests, not a failure.
e2e: .dev
	@$(BIN)/python -m pytest -m e2e $(ARGS) || [ $$? -eq 5 ]

soak: .dev
	@$(BIN)/python -m pytest -m soak --timeout 3600 $(ARGS) || [ $$? -eq 5 ]

bench: .dev
	@$(BIN)/python -m bench $(ARGS)

dashboards: .dev
	@$(BIN)/python -m deploy.grafana.render $(ARGS)

demo-x402: .dev
	@$(BIN)/python -m deploy.demo.x402

gen: .dev
	@$(BIN)/python -m deploy.local.generated

UV := $(shell command -v $(BIN)/uv || command -v uv)
UV_COMPILE = $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" --extra embedded --extra build pyproject.toml
UV_IMAGE = $(subst --extra embedded --extra build,--extra x402,$(UV_COMPILE))
lock:
	@[ -n "$(UV)" ] || { echo "make lock needs uv: pip install uv" >&2; exit 78; }
	@$(UV_COMPILE) -o requirements/run.lock
	@$(UV_IMAGE) -c requirements/run.lock -o requirements/image.lock
	@$(UV_COMPILE) --extra dev -c requirements/run.lock -o requirements/dev.lock

clean:
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.python:
	@command -v $(PYTHON) >/dev/null || \
	  { echo "tradewind: python3 is missing: apt install python3 python3-venv" >&2; exit 78; }

.run: .python
	@$(BOOTSTRAP) run

.dev: .python
	@$(BOOTSTRAP) dev
