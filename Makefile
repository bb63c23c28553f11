# Two commands do all the set-up: `make run` and `make test`.

PYTHON ?= python3
BIN := .venv/bin
# Reflex looks for bun on the PATH.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export REFLEX_TELEMETRY_ENABLED := false
export REFLEX_CHECK_LATEST_VERSION := false
# The tests start some fifty processes that import the app: bytecode has to be kept.
unexport PYTHONDONTWRITEBYTECODE

# What says of itself that it is no secret: an example, or made up for a test.
MADE_UP := canary|-tests-|for-tests|not-?a-?real|^(password|secret|abcd1234)$$

.PHONY: run dev test nightly coverage lint secure format check lighthouse bench bench-sockets bench-growth bench-overload gallery lock clean

run: .venv/run  ## build and serve the app, on http://localhost:3000 or PORT
	$(BIN)/reflex run --env prod

dev: .venv/run  ## the same with hot reload
	$(BIN)/reflex run

test: .venv/dev  ## every behaviour, the browser's included
	$(BIN)/python -m tests.browser.install
	$(BIN)/python -m tests.side_by_side

nightly: .venv/dev  ## the full matrix: every look, width and provider, and more examples
	$(BIN)/python -m tests.browser.install
	$(BIN)/python -m tests.side_by_side --nightly

coverage: .venv/dev  ## which branches the tests that run in one process take
	$(BIN)/python -m pytest -q --cov --cov-report=term tests/unit tests/contract tests/backend

lint: .venv/dev secure  ## format, lint, plain English, types, layers, weaknesses
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python .ci/prose.py
	$(BIN)/mypy
	$(BIN)/lint-imports

secure: .venv/dev  ## weak code, secrets in the repository, packages with known vulnerabilities
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive otp_app rxconfig.py
	@git rev-parse > /dev/null  # where there is no repository, nothing would be searched
	git ls-files -z --cached --others --exclude-standard \
		| xargs -0 $(BIN)/detect-secrets-hook --no-verify --exclude-secrets '(?i)$(MADE_UP)'
	$(BIN)/python .ci/audit.py constraints.txt

format: .venv/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: lint test  ## all of CI

lighthouse: .venv/dev  ## Lighthouse's scores of the production build, the median of three
	$(BIN)/python -m tests.browser.install
	$(BIN)/bun install --frozen-lockfile --silent --cwd bench/lighthouse
	$(BIN)/python -m bench.lighthouse

bench: .venv/dev  ## flows a second, beside the servers of both vendors' guides
	$(BIN)/bun install --frozen-lockfile --silent --cwd bench/peers/fastify
	$(BIN)/bun install --frozen-lockfile --silent --cwd bench/peers/express
	$(BIN)/python -m bench

bench-sockets: .venv/dev  ## cost of a visitor and of an open page, by the socket
	$(BIN)/python -m bench.sockets

bench-growth: .venv/dev  ## the store with 200,000 old verifications, beside an empty one
	$(BIN)/python -m bench.growth

bench-overload: .venv/dev  ## arrivals at the capacity of the app, and at twice that rate
	$(BIN)/python -m bench.overload

gallery: .venv/dev  ## every page in every state, as pictures in docs/gallery
	$(BIN)/python -m tests.browser.install
	$(BIN)/python -m tests.browser.gallery

lock: .venv/dev  ## write what is installed to constraints.txt
	$(BIN)/pip freeze --exclude-editable > constraints.txt

clean:
	rm -rf .venv .web .states .data

.venv/run: requirements.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed, for example: make PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet -r requirements.txt
	touch $@

.venv/dev: .venv/run requirements-dev.txt
	$(BIN)/pip install --quiet -r requirements-dev.txt
	touch $@
