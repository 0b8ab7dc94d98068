# Every target is one call of `loglane` or of one well-known tool; `make help` lists them.
ENV ?= dev
PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/loglane
OUT_FLAG := $(if $(OUT),--out $(OUT))

.DEFAULT_GOAL := help
.PHONY: help demo test test-integration up down status logs render check validate lint bench reliability faults audit-faults clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F '\t' '{printf "  make %-18s %s\n", $$1, $$2}'

demo: $(BIN)/.ready ## run an example app on an embedded server and query its logs (no Docker)
	@$(RUN) demo

test: $(BIN)/.ready ## run the tests; those that need Docker or an image say what is missing
	@$(BIN)/pytest

test-integration: $(BIN)/.ready ## run only the tests against real Loki, Promtail and Grafana
	@$(BIN)/pytest -m integration

up: $(BIN)/.ready ## render, start the stack and wait until it answers (ENV=dev|staging|prod)
	@$(RUN) up --env $(ENV)

down: $(BIN)/.ready ## stop the stack (VOLUMES=1 also deletes its data, after a question; YES=1 answers it)
	@$(RUN) down --env $(ENV) $(if $(VOLUMES),--volumes) $(if $(YES),--yes)

status: $(BIN)/.ready ## show the stack's containers
	@$(RUN) status --env $(ENV)

logs: $(BIN)/.ready ## follow what the stack's own containers write
	@$(RUN) compose --env $(ENV) logs --follow --tail 100

render: $(BIN)/.ready ## write an environment's files (ENV=dev|staging|prod, OUT=dir)
	@$(RUN) render --env $(ENV) $(OUT_FLAG)

check: $(BIN)/.ready ## fail with a diff when rendered files are not what the spec says
	@$(RUN) render --env $(ENV) $(OUT_FLAG) --check

validate: $(BIN)/.ready ## let loki, promtail and docker compose check the rendered files
	@$(RUN) validate --env $(ENV)

lint: $(BIN)/.ready ## ruff and mypy
	@$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy

bench: $(BIN)/.ready ## print the benchmarks
	@$(BIN)/python -m benchmarks

reliability: $(BIN)/.ready ## lines lost while servers restart and logs rotate (COLLECTOR=promtail|alloy LINES=10000)
	@$(BIN)/python -m benchmarks.reliability --collector $(or $(COLLECTOR),promtail) --lines $(or $(LINES),10000)

faults: $(BIN)/.ready ## lines that a direct push loses while Loki or the app fails (LINES=100000; needs `loki`)
	@$(BIN)/python -m benchmarks.faults --lines $(or $(LINES),100000)

audit-faults: $(BIN)/.ready ## audit records that are lost while databases, Redis or the app fail (EVENTS=10000)
	@$(BIN)/python -m benchmarks.audit_faults --events $(or $(EVENTS),10000)

clean: ## remove the virtual environment and caches (not what is rendered, nor secrets)
	@rm -rf .venv dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/.ready: pyproject.toml
	@echo "setting up .venv (once)" >&2
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
