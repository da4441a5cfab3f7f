# The two commands of the README. `make run ARGS="--port 9100"` passes flags on.
PYTHON ?= python3

.PHONY: run test
run: .venv/bin/ccs
	.venv/bin/ccs serve $(ARGS)

test:
	bash .ci/run

.venv/bin/ccs: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --upgrade pip
	.venv/bin/pip install -qqq --editable .
	touch $@
