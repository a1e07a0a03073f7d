# The two commands are `make paper` and `make test`; each makes the environment first.
PYTHON ?= python3
BIN := .venv/bin
PROFILE ?= sample

.PHONY: paper test lint format lab demo lock clean

paper: .venv/ready
	$(BIN)/paper run --profile $(PROFILE)

test: .venv/ready
	$(BIN)/python -m pytest

lint: .venv/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: .venv/ready
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lab: .venv/ready
	$(BIN)/jupyter lab --notebook-dir=notebooks

demo: .venv/ready
	$(BIN)/paper demo

# Everything comes from the lock, hashes checked. uv is taken from the same lock first, since it
# installs the rest several times faster than pip.
.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .venv/uv.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.lock
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@

# After a change of pyproject.toml: new exact versions with hashes, and no index address.
lock: .venv/ready
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	  --python-version 3.11 --extra demo --extra dev pyproject.toml -o requirements.lock

clean:
	rm -rf .venv .cache
