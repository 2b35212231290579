# `make demo` and `make test` are all a newcomer needs. Everything runs inside .venv; nothing is installed elsewhere,
# except Debian's chromium when `make test` runs as root (browser tests are skipped without it).
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
TAUGHT := $(VENV)/.installed-training
PYTEST := $(BIN)/python -m pytest
DEBIAN := chromium fonts-liberation fonts-noto-cjk

.DEFAULT_GOAL := help
.PHONY: help demo demo-check test coverage check format slow faults faults-long fuzz peers clean install browser docs shots

help:
	@echo "make demo        a real supermarket at http://127.0.0.1:7700 (Ctrl-C stops it)"
	@echo "make demo-check  the same, without staying up: a shopper's journey over HTTP, figures, exit code"
	@echo "make test        all tests but the slow ones"
	@echo "make coverage    the same, and which lines no test ran (a third slower)"
	@echo "make check       format, lint, types, import contracts, pinned versions"
	@echo "make slow        quality floors and other tests that take minutes each"
	@echo "make fuzz        bytes, requests and orders of calls that break something: BODEGA_FUZZ_SECONDS a parser (30)"
	@echo "make faults      kills, full disks, dead dependencies, bit rot: prints the promises (12 minutes on 2 idle cores)"
	@echo "make faults-long the same with ten times as many kills and power losses (hours)"
	@echo "make format      put the code into its format, write the generated pages"
	@echo "make docs        the documentation as pages in site/, with screenshots made by the tests; a broken link is an error"
	@echo "make peers       other recommenders, each in its own .venv-peers/NAME, for bodega bench peers"
	@echo "make clean       remove .venv, caches and the demo shop"

demo: $(STAMP)
	$(BIN)/bodega demo

demo-check: $(TAUGHT)
	$(BIN)/bodega demo --check

test: $(TAUGHT) browser
	$(PYTEST) -n 2 --dist loadfile -m "not slow and not faults"

# The same with a table of what no test ran: tracing costs a third more time, and the time limits of some tests.
coverage: $(TAUGHT) browser
	$(PYTEST) -n 2 --dist loadfile -m "not slow and not faults" --cov --cov-report=term

slow: $(TAUGHT) browser
	$(PYTEST) -m "slow and not faults"

fuzz: $(TAUGHT)
	$(PYTEST) tests/fuzz -q

# Two files at a time: the suite of dead dependencies measures the healthy shop beside each fault, so what runs beside it
# widens its limits, not its verdict. What is not marked `faults` here is quick and is part of `make test`, too.
faults: $(TAUGHT)
	$(PYTEST) -n 2 --dist loadfile tests/faults -m "not slow" -q
	$(PYTEST) tests --ignore tests/faults -m "faults and not slow" -q

faults-long: $(TAUGHT)
	BODEGA_FAULTS_LONG=1 BODEGA_FAULT_SECONDS=20 $(PYTEST) tests/faults -q

check: $(TAUGHT)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pip check
	$(PYTEST) -qq tests/architecture/test_pins.py

# Each library of benchmarks/peers in an environment of its own: they want other versions of numpy than we do. torch comes
# first and alone, so that no library chooses another build of it.
peers: $(patsubst benchmarks/peers/%.txt,.venv-peers/%/.installed,$(wildcard benchmarks/peers/*.txt))

.venv-peers/%/.installed: benchmarks/peers/%.txt
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	@echo "installing $* into $(@D)"
	torch=$$(grep '^torch==' $< || true); \
	  test -z "$$torch" || $(@D)/bin/python -m pip install --quiet --disable-pip-version-check "$$torch"
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	for page in settings cli http python; do $(BIN)/python docs/make_$$page.py || exit 1; done

# The screenshots are those that journeys through storefront and console make; without Chromium the site has none.
shots: $(TAUGHT) browser
	rm -rf docs/images/made
	BODEGA_SHOTS=$(CURDIR)/docs/images/made $(PYTEST) -q tests/journeys/console/test_console_pictures.py tests/journeys/storefront/test_storefront_pictures.py

docs: shots
	$(BIN)/python docs/make_site.py

clean:
	rm -rf $(VENV) site docs/images/made demo-shop .coverage .coverage.* htmlcov dist build
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

install: $(TAUGHT)

# The stamp is touched last: an installation that broke off is done again, and so is one whose inputs changed.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Bodega needs Python 3.11 or newer; '$(PYTHON)' is not. Next: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV): a minute or two"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,console,dev,vectors,encoders,minilm,tagger,llm]'
	touch $@

# What only training needs (torch alone is hundreds of MB): the tests and `bodega bench ... --models all` use it, the demo
# does not.
$(TAUGHT): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[neural,trees,tune,postgres,redis,kafka,otel,images,adapters,docs]'
	touch $@

# Missing browser: install it when we may, else say so and go on; the browser tests then skip with a reason.
browser:
	@if command -v chromium >/dev/null 2>&1; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	  echo "installing $(DEBIAN)"; \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends $(DEBIAN) >/dev/null; } </dev/null \
	  || echo "could not install $(DEBIAN): browser tests will be skipped"; \
	else \
	  echo "chromium is missing: browser tests will be skipped. Next: sudo apt-get install $(DEBIAN)"; \
	fi
