# Everything starts with `make demo` or `make test`; both set up what they need. `make` alone lists the targets.
PYTHON ?= python3
ARGS ?=
VENV := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup demo test check sizes bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: ## bring all that is needed into .venv and .toolchain (no root)
	@$(PYTHON) -m tools setup

demo: setup ## a sensor board on this computer publishes to a local broker, shown live (DEMO_SECONDS=15 ends it)
	@$(VENV) -m tools demo $(if $(DEMO_SECONDS),--seconds $(DEMO_SECONDS))

check: setup ## lint, format, spelling, house rules, types
	@$(VENV) -m tools check

test: check ## the checks, then the tests (ARGS="-k name" goes to pytest)
	$(VENV) -m pytest $(ARGS)

sizes: setup ## what the library costs on a board: bytes of .mpy, heap at import
	@$(VENV) -m tools sizes $(ARGS)

bench: setup ## speed and heap beside a bare socket and umqtt.simple
	@$(VENV) -m tools bench $(ARGS)

clean: ## remove what was built (not .venv and .toolchain)
	rm -rf build .pytest_cache .ruff_cache .mypy_cache
