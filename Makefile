# The two commands that matter on a new machine: `make demo` and `make test`. `make help` lists the rest.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
ENGINE := $(BIN)/python -m scripts.with_engine
PYTEST := $(BIN)/python -m pytest --dist worksteal
ARGS   ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo unit test check coverage lint bench bench-api bench-scale chaos hostile long servers docs screenshots format lock images engine clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## make .venv with the pinned requirements and this package

$(READY): setup.cfg pyproject.toml requirements.lock
	@$(PYTHON) -m scripts.environment $(VENV)
	@touch $@

demo: setup ## run examples/hello.yaml in a container and print its result
	@$(ENGINE) $(BIN)/python -m scripts.demo

unit: setup ## the tests that need no engine, no server and no root, in under a minute; ARGS goes to pytest
	$(PYTEST) -n 2 -m "not engine and not postgresql and not servers and not slow" $(ARGS)

test: lint unit ## all checks, the unit tests, then those against a real engine; ARGS goes to pytest
	$(ENGINE) $(PYTEST) -n 3 -m "(engine or postgresql or slow) and not servers and not hostile" $(ARGS)

check: test docs ## the same and the docs site

coverage: setup ## the tests of `make test` again, slower, with the lines that they do not reach
	$(ENGINE) $(PYTEST) -n 3 -m "not servers and not hostile" --cov --cov-report=term:skip-covered $(ARGS)

lint: setup ## the static checks alone: format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

servers: setup ## the tests on Redis, RabbitMQ and PostgreSQL, which are installed where they are missing
	$(ENGINE) $(PYTEST) -m servers tests/servers tests/system $(ARGS)

docs: setup ## build the docs site into build/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

chaos: setup ## the chaos tests with 200 tasks, 100,000 waiting ones and outages of 30 s, printing what they took
	CHAOS_TASKS=200 CHAOS_BACKLOG=100000 CHAOS_REQUESTS=1000 CHAOS_OUTAGE_S=30 $(ENGINE) $(BIN)/python -m pytest \
	    tests/system/test_chaos.py tests/system/test_backlog.py -s $(ARGS)

hostile: setup ## attacks on a running installation: floods, slow clients, poison jobs, dripping webhooks
	$(ENGINE) $(PYTEST) -m hostile tests/system -s $(ARGS)

long: setup ## 2,000 random job files, the hostile tests, and the chaos tests with 200 tasks
	FUZZ_FILES=2000 $(ENGINE) $(PYTEST) -m engine tests/system/test_random_job_files.py
	$(MAKE) hostile
	$(MAKE) chaos

bench: setup ## measure throughput and latency against the bare engine; ARGS goes to the bench
	$(ENGINE) $(BIN)/python -m bench.run $(ARGS)

bench-api: setup ## measure rates and latency of the API against a server that does nothing; ARGS goes to the bench
	$(ENGINE) $(BIN)/python -m bench.api $(ARGS)

bench-scale: setup ## measure the services with 1,000,000 stored jobs against 10,000; ARGS goes to the bench
	$(BIN)/python -m bench.scale $(ARGS)

screenshots: setup ## make the pictures of the web pages in docs/images
	$(BIN)/python -m scripts.screenshots

format: setup ## format the code and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## pin the newest allowed versions in requirements.lock
	$(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/pip install --quiet pip-tools
	CUSTOM_COMPILE_COMMAND="make lock" $(VENV)/lock/bin/pip-compile --quiet --upgrade --extra dev --all-build-deps \
	    --allow-unsafe --strip-extras --annotation-style line --no-emit-index-url --no-emit-trusted-host \
	    --no-emit-find-links --output-file requirements.lock setup.cfg

images: setup ## make the local images (busybox:stable and ffmpeg) where they are missing
	$(ENGINE) $(BIN)/python -m scripts.images $(ARGS)

engine: setup ## make sure that a container engine answers, and leave it running
	@$(BIN)/python -m scripts.engine

clean: ## remove .venv and what the tools left
	rm -rf $(VENV) build dist *.egg-info .coverage* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
