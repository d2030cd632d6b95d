# Everything starts with `make demo` or `make test`; both set up what they need. `make` alone lists the targets.
PYTHON ?= python3
ARGS ?=
SECONDS ?= 300
VENV := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup demo boards flash provision deploy monitor test-board check test sizes bench soak fuzz deadlines wear storm fleet interop ends cluster clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: ## bring all that is needed into .venv and .toolchain (no root)
	@$(PYTHON) -m tools setup

demo: setup ## a sensor board on this computer publishes to a local broker, shown live (DEMO_SECONDS=15 ends it)
	@$(VENV) -m tools demo $(if $(DEMO_SECONDS),--seconds $(DEMO_SECONDS))

boards: setup ## what is plugged in, what it runs: port, chip, MicroPython, free flash, fieldmqtt (ARGS=--json)
	@$(VENV) -m tools boards $(if $(PORT),--port $(PORT)) $(ARGS)

flash: setup ## MicroPython onto a board (BOARD=W5100S_EVB_PICO, perhaps VERSION=1.26.1 IMAGE=file PORT=/dev/ttyACM0)
	@$(VENV) -m tools flash $(if $(BOARD),--board $(BOARD)) $(if $(IMAGE),--image "$(IMAGE)") \
		$(if $(VERSION),--version $(VERSION)) $(if $(PORT),--port $(PORT)) $(ARGS)

provision: setup ## network, broker and certificates for the board that is plugged in (PORT=…, ARGS="--check")
	@$(VENV) -m tools provision $(if $(BOARD),--board $(BOARD)) $(if $(PORT),--port $(PORT)) $(ARGS)

deploy: setup ## compile, copy what changed, restart the board, wait for its first reading (PORT=all: every board)
	@$(VENV) -m tools deploy $(if $(PORT),--port $(PORT)) $(if $(BOARD),--board $(BOARD)) \
		$(if $(TIMEOUT),--timeout $(TIMEOUT)) $(ARGS)

monitor: setup ## every board of a broker, live; the demo's unless BROKER=host:port (PORT=… shows that board's log)
	@$(VENV) -m tools monitor $(if $(BROKER),--broker $(BROKER)) $(if $(PORT),--port $(PORT)) $(ARGS)

test-board: setup ## the tests that run under MicroPython, on a real board (PORT=…, ARGS="topics outbox")
	@$(VENV) -m tools test-board $(if $(PORT),--port $(PORT)) $(ARGS)

check: setup ## lint, format, spelling, house rules, types
	@$(VENV) -m tools check

test: check ## the checks, then the tests (ARGS="-k name" goes to pytest)
	$(VENV) -m pytest -n 4 $(ARGS)

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

fleet: setup ## BOARDS=50 on this computer against one broker, live (BROKER=host:port RATE=60 ARGS="--storm --tls")
	@$(VENV) -m tools fleet $(or $(BOARDS),50) $(if $(BROKER),--broker $(BROKER)) $(if $(RATE),--rate $(RATE)) $(ARGS)

interop: setup ## every case on every broker, the table of docs/brokers.md (ARGS="--broker aedes --case will")
	@$(VENV) tests/interop/interop.py $(ARGS)

ends: setup ## the clients of the other end, the tables of docs/other-ends.md (ARGS="--client mqtt.js", ARGS=--write)
	@$(VENV) tests/interop/ends/run.py $(ARGS)

cluster: setup ## RabbitMQ on three nodes that are killed in turn, some 8 minutes (ARGS=--write: docs/brokers.md)
	@$(VENV) tests/interop/cluster.py $(ARGS)

clean: ## remove what was built (not .venv and .toolchain)
	rm -rf build .pytest_cache .ruff_cache .mypy_cache
