# PYTHON is the interpreter that makes the environment: make studio PYTHON=python3.12
PYTHON ?= $(shell command -v python3 || command -v python3.11)
PY := .venv/bin/python
# Arguments handed on: make studio ARGS="--port 7861", make test ARGS="-k embedding"
ARGS ?=

.PHONY: studio test browser-test assets figures

studio: .venv/.installed  ## open the studio at http://127.0.0.1:7860 on the built-in model
	$(PY) app.py --open $(ARGS)

test: .venv/.installed-dev  ## lint, format check, tests without a browser
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m pytest -m "not browser" $(ARGS)

browser-test: .venv/.installed-dev  ## the studio in a real browser (needs chromium)
	$(PY) -m pytest -m browser $(ARGS)

assets: .venv/.installed  ## train the built-in model again, and all that is learnt on it
	$(PY) -m motion_studio.toybox.train
	$(PY) -m motion_studio.toybox.starters

figures: .venv/.installed  ## measure what the README's tables say, and write them
	$(PY) benchmarks/gate.py
	$(PY) benchmarks/quality.py --publish
	$(PY) benchmarks/arithmetic.py --clips 12
	$(PY) benchmarks/camera.py
	$(PY) benchmarks/cast.py
	$(PY) benchmarks/readme.py --from out

$(PY):
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Motion Studio needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 2; }
	"$(PYTHON)" -m venv .venv || { rm -rf .venv; exit 2; }

# Stamps: a second run installs nothing unless the requirements changed.
.venv/.installed: requirements.txt | $(PY)
	$(PY) -m pip install --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/.installed-dev: requirements-dev.txt requirements.txt | $(PY)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ .venv/.installed
