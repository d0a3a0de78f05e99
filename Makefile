# The two commands of the README: `make demo` and `make test`. Everything goes into .venv and demo/.
#
#   make test      the tests that take seconds each
#   make test-all  these, and the thorough ones: many rounds, a browser, benchmarks, what root alone may do
#   make check     lint, types and tests
#   make slow      the proofs that take many minutes
#
# With CI set, as .ci/run has it, `make test` and `make check` run the thorough tests too, a test that skips fails, and in
# every sixteenth test each command starts a Python of its own.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# `make demo PHOTOS=./photos QUERY=me.jpg` searches your own photos.
PHOTOS ?=
QUERY ?=

.PHONY: demo dev test test-all check lint types slow wheel wheelhouse clean

demo: $(VENV)/installed
ifeq ($(strip $(PHOTOS)),)
	@echo "Making a sample library in demo/photos: nine people, one photo each, cropped, turned and resized."
	@$(BIN)/python tests/sample_library.py demo > /dev/null
	$(BIN)/facesearch index demo/photos --index indexes/demo --model embedded
	$(BIN)/facesearch query demo/query.jpg --index indexes/demo --sheet demo/hits.png
	@echo "The hits are drawn in demo/hits.png. All photos of a person come from one photo: this shows that it works,"
	@echo "not how well. Try your own: make demo PHOTOS=./photos QUERY=me.jpg"
else
	$(if $(strip $(QUERY)),,$(error give a photo of the person to look for: make demo PHOTOS=$(PHOTOS) QUERY=me.jpg))
	@mkdir -p demo
	$(BIN)/facesearch index "$(PHOTOS)"
	$(BIN)/facesearch query "$(QUERY)" --top-k 20 --sheet demo/hits.png || [ $$? -eq 1 ]
	@echo "The nearest are drawn in demo/hits.png."
endif

# One process per core, four at most; one that has nothing left to do takes tests from another.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal
ALL := -m "not slow"

test: $(VENV)/installed-dev
	$(PYTEST) $(if $(CI),$(ALL))

test-all: $(VENV)/installed-dev
	$(PYTEST) $(ALL)

check: lint types test

dev: $(VENV)/installed-dev

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-dev
	$(BIN)/mypy

slow: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m slow

# The sdist, and the wheel that is built from it, in dist/.
wheel: $(VENV)/installed-dev
	rm -rf dist
	$(BIN)/python -m build

# The wheels of all dependencies, so that tests can install facesearch without a network.
wheelhouse: build/wheelhouse/.complete

build/wheelhouse/.complete: pyproject.toml packaging/wheelhouse.py $(VENV)/installed
	rm -rf build/wheelhouse
	$(BIN)/python packaging/wheelhouse.py build/wheelhouse
	@touch $@

$(VENV)/installed: pyproject.toml packaging/clean_graphs.py packaging/hatch_build.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

# It includes what `installed` has, so that this is not installed twice.
$(VENV)/installed-dev: pyproject.toml packaging/clean_graphs.py packaging/hatch_build.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $(VENV)/installed $@

clean:
	rm -rf $(VENV) build dist demo indexes/demo
