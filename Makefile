# Everything starts with `make demo` or `make test`; both set up what they need. `make` alone lists the targets.
PYTHON ?= python3
ARGS ?=
SECONDS ?= 300
VENV := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup demo test check sizes bench soak fuzz deadlines wear storm clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

setup: ## bring all that is needed into .venv and .toolchain (no root)
	@$(PYTHON) -m tools setup

demo: setup ## a sensor board on this computer publishes to a local broker, shown live (DEMO_SECONDS=15 ends it)
	@$(VENV) -m tools demo $(if $(DEMO_SECONDS),--seconds $(DEMO_SECONDS))

check: setup ## lint, format, spelling, house rules, types
	@$(VENV) -m tools check

test: check ## the checks, then the tests (ARGS="-k name" goes to pytest)
	$(VENV) -m pytest -n 2 $(ARGS)

sizes: setup ## what the library costs on a board: bytes of .mpy, heap at import
	@$(VENV) -m tools sizes $(ARGS)

bench: setup ## speed and heap beside a bare socket and umqtt.simple
	@$(VENV) -m tools bench $(ARGS)

soak: setup ## the long runs: faults, power cuts, a million messages, a thousand reconnects (an hour)
	@$(VENV) tests/faults/soak.py
	@$(VENV) tests/flash/power_cuts.py
	@$(VENV) tests/long/messages.py
	@$(VENV) tests/long/reconnects.py

fuzz: setup ## hostile bytes for SECONDS=300, guided by the lines they reach (ARGS="--seed 1")
	@$(VENV) tests/fuzz/fuzz.py --seconds $(SECONDS) $(ARGS)

deadlines: setup ## how late every call is when nothing answers (ARGS=--write puts it into docs/guarantees.md)
	@$(VENV) tests/faults/deadlines.py $(ARGS)

wear: setup ## what the outbox on flash writes and erases, and the years it lasts (ARGS=--write: docs/flash.md)
	@$(VENV) tests/flash/wear.py $(ARGS)

storm: setup ## 500 boards lose their broker at once and come back (ARGS=--write: docs/storm.md)
	@$(VENV) tests/long/storm.py $(ARGS)

clean: ## remove what was built (not .venv and .toolchain)
	rm -rf build .pytest_cache .ruff_cache .mypy_cache
