# `make demo` is the way in. Everything runs in .venv, which is made when it is missing or older than what it is made from.
PYTHON ?= python3
BIN := .venv/bin
STUDY ?= studies/demo.yaml
DEMO := build/demo/simulated

.PHONY: demo ui test lint bench docs clean

demo: .venv/installed $(DEMO)/extract
	$(BIN)/oih run studies/demo.yaml

ui: .venv/installed $(DEMO)/extract
	$(BIN)/oih ui $(STUDY)

test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/sqlfluff lint --processes 2 sql
	$(BIN)/mypy

bench: .venv/installed
	$(BIN)/python -m tests.bench.bench_dose_timeline
	$(BIN)/python -m tests.bench.bench_dose_definitions
	$(BIN)/python -m tests.bench.bench_ingest
	$(BIN)/python -m tests.bench.fuzz_malformed_input
	$(BIN)/python -m tests.bench.bench_checks
	$(BIN)/python -m tests.bench.calibrate_simulator
	$(BIN)/python -m tests.bench.bench_windows --scores 5000000
	$(BIN)/python -m tests.bench.bench_extracts_to_tiers --patients 10000
	$(BIN)/python -m tests.bench.recovery --seeds 2 --patients 5000 --out build/recovery.md

docs: .venv/installed
	$(BIN)/python -m pipelines.reference_pages
	$(BIN)/python -m pipelines.data_dictionary

clean:
	rm -rf build .venv

$(DEMO)/extract: | .venv/installed
	$(BIN)/oih simulate $(DEMO) --patients 2000 --seed 1

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@
