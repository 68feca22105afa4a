# make run    start the studio          make test   everything CI checks
# make setup  only the environment      make check  lint, types and the tests that need no browser
# make explore  properties on examples that no run had before

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The environment is up to date when it carries the checksum of the requirements it was made from.
RUNTIME := $(VENV)/.runtime-$(shell cksum < requirements.txt | cut -d' ' -f1)
# pip compiles 15,000 files one after the other, which takes it a minute; all cores do it in less.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
COMPILE := $(BIN)/python -m compileall -q -j 0 $(VENV)/lib > /dev/null || true
DEV := $(VENV)/.dev-$(shell cat requirements.txt requirements-onnx.txt requirements-timm.txt requirements-film.txt requirements-login.txt requirements-ray.txt requirements-dev.txt | cksum | cut -d' ' -f1)

.PHONY: setup dev chromium run lint types check explore test screenshots clean

setup: $(RUNTIME)
dev: $(DEV)

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("TiDAL Studio needs Python 3.11 or newer; this is %d.%d. Say: make PYTHON=python3.11" % sys.version_info[:2]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(RUNTIME): | $(BIN)/python
	@echo "Installing the studio's packages into $(VENV) (about 5 GB, some minutes, once)"
	$(INSTALL) -r requirements.txt
	@$(COMPILE)
	@rm -f $(VENV)/.runtime-* && touch $@

$(DEV): | $(BIN)/python
	@echo "Installing the studio's packages and the test tools into $(VENV) (some minutes, once)"
	$(INSTALL) -r requirements-dev.txt
	@$(COMPILE)
	@rm -f $(VENV)/.runtime-* $(VENV)/.dev-* && touch $(RUNTIME) $@

run: setup
	$(BIN)/streamlit run app.py

chromium: dev
	$(BIN)/python -m tests.browser.chromium

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: dev
	$(BIN)/mypy

check: lint types
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not browser"

explore: dev
	$(BIN)/python -m pytest --hypothesis-profile explore $$(grep -rl hypothesis tests --include='test_*.py')

# A file of tests stays in one process: what its tests share is made once.
# Two runs of pytest: Playwright keeps an event loop in its thread, which others that start one cannot share it with.
# A browser test that fails is run once more and named at the end: a shared machine can starve a browser for a minute.
test: lint types chromium
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not browser"
	$(BIN)/python -m pytest -n 2 -m browser --reruns 1 -rR

screenshots: chromium
	$(BIN)/python -m tests.browser.screenshots screenshots

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
