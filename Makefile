# Every target makes .venv and installs what it needs; a second run installs nothing.
# PYTHON=python3.12 make test   another interpreter (for a new .venv)
# WORKERS=4 make test           more processes

PYTHON  ?= python3
WORKERS ?= 2
SECONDS ?= 60

BIN := .venv/bin
# Stamps: older than pyproject.toml means "install again".
LAB := .venv/.lab-installed
DEV := .venv/.dev-installed
COMPARE := .venv/.compare-installed

# One thread for the linear algebra: equal digits on every machine, and no fight with WORKERS.
export OPENBLAS_NUM_THREADS := 1
export OMP_NUM_THREADS := 1
export MKL_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help demo screenshot test slow check format proto bench hardware calibrate compare fuzz clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: $(LAB) ## plant a fault in a fleet of 128 shards and watch it being found
	$(BIN)/tessera demo

screenshot: $(LAB) ## write docs/terminal.svg: what the terminal shows at the end of the demo
	$(BIN)/tessera demo --seed 2 --screenshot docs/terminal.svg

test: $(DEV) ## run the tests, without those marked slow
	$(BIN)/pytest -n $(WORKERS) -m "not slow"

slow: $(DEV) ## run only the tests marked slow
	$(BIN)/pytest -n $(WORKERS) -m slow

check: $(DEV) ## ruff, format, codespell, mypy strict, pyright: what CI runs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/pyright

format: $(DEV) ## let ruff lay out the code and mend what it can
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

proto: ## generate the code of the wire anew, after a change of a .proto file
	@test -x build/generator/bin/python || $(PYTHON) -m venv build/generator
	build/generator/bin/python -m pip install --quiet $$(proto/generate --needs)
	proto/generate build/generator/bin/python .links

bench: $(DEV) ## time the engine, and weigh reading eight devices
	$(BIN)/python bench/engine.py
	$(BIN)/python bench/agent.py

hardware: $(LAB) ## read the NVIDIA devices of this machine, save a recording of half a minute
	$(BIN)/python -m tessera.lab.hardware

calibrate: $(DEV) ## measure false alarms and delays, rewrite docs/calibration.md (three quarters of an hour)
	$(BIN)/python -m tessera.lab.calibrate

compare: $(COMPARE) ## run other detectors on the same streams, rewrite docs/comparison.md (ten minutes)
	$(BIN)/python bench/compare.py

fuzz: $(DEV) ## throw changed samples at each parser, SECONDS=60 long; guided by coverage where that installs
	@$(BIN)/python -m pip install --quiet 'atheris>=2.3' 2>/dev/null || true
	$(BIN)/python bench/fuzz --seconds $(SECONDS)

clean: ## remove everything that the other targets made
	rm -rf .venv build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An interrupted installation leaves no stamp and is done again.
define venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is no Python of at least 3.11: try make PYTHON=python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
endef

$(LAB): pyproject.toml
	$(venv)
	$(BIN)/python -m pip install --quiet --editable '.[lab]'
	@touch $@

$(DEV): pyproject.toml
	$(venv)
	$(BIN)/python -m pip install --quiet --editable '.[all]' --group dev
	@touch $(LAB) $@

$(COMPARE): pyproject.toml
	$(venv)
	$(BIN)/python -m pip install --quiet --editable '.[lab]' --group compare
	@touch $(LAB) $@
