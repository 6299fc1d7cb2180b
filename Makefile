# Every target works on a fresh checkout: `setup` creates the virtual environment first.
PYTHON ?= python3
BIN := .venv/bin
SEED ?= 0

.PHONY: setup try run ending test check check-method lint type leaderboard docs faults clean

setup: .venv/ready  ## install the suite and what it needs

.venv/ready: requirements.lock
	@echo "installing into .venv: some minutes, 2.2 GB"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.lock
	touch $@

try: setup  ## train two methods briefly on a few synthetic people, and compare them
	$(BIN)/python run.py demo

run: setup  ## train and score SCLHM on synthetic people
	$(BIN)/python run.py --method sclhm --protocol sysu_all --data synthetic --seed $(SEED) --resume

ending: setup  ## repeat the scoring of `make run`, and show its last lines in README
	$(MAKE) --no-print-directory --silent run SEED=0 | $(BIN)/python -m reports.pages.ending

test: setup  # two processes share the cores (benchmarks/waiting.py)
	OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: setup
	$(BIN)/mypy

leaderboard: setup  ## rebuild the pages, tables and figures that are made from leaderboard/
	$(BIN)/python -m leaderboard
	$(BIN)/python -m reports.pages --write

docs: setup  ## build docs/ as one site with a search, build/docs/docs/index.html; needs 0.1 GB of packages
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[docs]"
	$(BIN)/mkdocs build --strict --quiet

check: lint type test  ## run all checks of CI
	$(BIN)/python -m leaderboard --check

check-method: setup  ## run the checks that concern one method: make check-method NAME=pgm
	$(BIN)/python -m tests.check_method $(NAME)

faults: setup  ## damage, stop and fill a run at every point, in up to an hour; a second start continues
	$(BIN)/python -m tests.faults --jobs 2 --minutes 60 --output build/faults --json benchmarks/results/faults.json

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
