# The two commands are `make paper` and `make test`; each makes the environment first.
#   make paper                    all notebooks on generated scenes, the report, and a comparison
#                                 with what was shipped
#   make paper PROFILE=planet32 DATA=folder    the same on the real chips
#   make test lint lab demo readme format lock clean
PROFILE ?= sample
DATA ?=
BIN := .venv/bin

.PHONY: paper test lint format lab demo readme lock clean

paper: .venv/ready
	$(BIN)/paper run --profile $(PROFILE) $(if $(DATA),--data "$(DATA)")
	$(BIN)/paper report --profile $(PROFILE)
	$(BIN)/paper verify --profile $(PROFILE)

test: .venv/ready
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: .venv/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	PYTHONPATH=demo_site $(BIN)/lint-imports --no-logo

format: .venv/ready
	$(BIN)/nbstripout --keep-id notebooks/*.ipynb
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# JupyterLab on working copies, so that answers and outputs leave the notebooks here as they are. A
# copy that is there already keeps what was written into it; delete it to begin anew.
lab: .venv/ready
	mkdir -p notebooks/mine
	for each in notebooks/*.ipynb; do \
	  test -e "notebooks/mine/$${each##*/}" || cp "$$each" notebooks/mine/; done
	$(BIN)/python -m paperlib.pipeline.translation notebooks notebooks/mine
	$(BIN)/jupyter lab --notebook-dir=notebooks/mine

demo: .venv/ready
	$(BIN)/paper demo

# The generated parts of README.md: the table of notebooks, and what the last runs took.
readme: .venv/ready
	$(BIN)/paper readme

# PYTHON names the Python to use; without it the first one that fits is found.
.venv/ready: requirements.lock pyproject.toml .ci/environment
	.ci/environment $(PYTHON)

# After a change of pyproject.toml: new exact versions with hashes, and no index address.
lock: .venv/ready
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' \
	  --python-version 3.11 --extra fast --extra notebooks --extra cluster --extra demo --extra dev pyproject.toml -o requirements.lock

clean:
	rm -rf .venv .venvs .cache
