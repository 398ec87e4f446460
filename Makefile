# Everything from a fresh clone: `make demo` and `make test` install what they need into .venv first.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# Each prints what it compares; those left out need something to work on, or hours, and are run by hand.
BY_HAND := bombs cases cifar10 hostile judge judges neighbours prepare_data published r3gan_by_its_authors sampling stylegan2_reference zoo mimicry_throughput modes modes_page semi_supervised text_to_image translation wasserstein
BENCHMARKS := $(sort $(filter-out $(BY_HAND:%=benchmarks/%.py),$(wildcard benchmarks/*.py)))

.PHONY: demo docs notebook test test-cluster lint bench images lock audit clean

demo: $(INSTALLED)  ## images in, a judged generator out, in a few minutes on two cores
	$(BIN)/gan-pipeline run --workdir runs/demo

test: lint  ## all checks and tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

test-cluster: $(INSTALLED)  ## all that is said of a cluster, on yours: KFP_HOST=http://... [MODE=multi-user] [TESTS=-k...]
	KFP_HOST="$(KFP_HOST)" MODE="$(or $(MODE),single-user)" $(BIN)/python -m pytest -v --log-cli-level INFO --log-cli-format '%(message)s' --timeout 7200 tests/cluster $(TESTS)

lint: $(INSTALLED)  ## format, lint, types and the one-way rule of imports
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(INSTALLED)  ## the documentation as a site, in build/site; `python3 -m http.server -d build/site` serves it
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

notebook: $(INSTALLED)  ## runs the notebook and stores what it shows
	rm -rf build/notebook && mkdir -p build/notebook && cp docs/notebooks/first-gan.ipynb build/notebook
	$(BIN)/jupyter execute --inplace build/notebook/first-gan.ipynb
	cp build/notebook/first-gan.ipynb docs/notebooks

bench: $(INSTALLED)  ## all benchmarks, one after the other
	set -e; for script in $(BENCHMARKS); do echo "== $$script"; $(BIN)/python $$script; done

images: $(INSTALLED)  ## the container images gan-pipeline-cpu and gan-pipeline-gpu, and their sizes
	PATH="$(CURDIR)/$(BIN):$$PATH" sh infra/images/build.sh cpu gpu

# Both are done by tools in an environment of their own, which nothing else depends on.
lock: build/tools/bin/uv  ## the digests of the files of the versions in requirements.lock, anew
	sed -n '/^#/p' requirements.lock > build/requirements.lock
	build/tools/bin/uv pip compile --quiet --universal --python-version 3.11 --no-deps --generate-hashes --no-header --no-annotate requirements.lock >> build/requirements.lock
	mv build/requirements.lock requirements.lock

audit: build/tools/bin/pip-audit  ## what is known to be unsafe of what requirements.lock names, as PyPI knows it
	build/tools/bin/pip-audit --disable-pip --require-hashes --requirement requirements.lock

build/tools/bin/%:
	test -d build/tools || $(PYTHON) -m venv build/tools
	build/tools/bin/python -m pip install --quiet --disable-pip-version-check $*

clean:  ## the environment and caches; runs stay
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# The stamp is written last: an installation that was cut off is taken up again.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "gan-pipeline needs Python 3.11 or newer: make PYTHON=/path/of/python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@
