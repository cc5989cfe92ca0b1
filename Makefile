# The commands for development. `make` alone prints them.
# A fresh machine needs Python 3.11 to 3.13, make and a package index; the first target that needs .venv makes it.

BIN := .venv/bin
INSTALLED := .venv/.installed
DEVELOPMENT := .venv/.installed-development

.DEFAULT_GOAL := help
.PHONY: help setup demo up test walk faults check fuzz bench docs sbom lock

help:  ## Print these lines
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED)  ## Make .venv and install the product's locked packages (again when they change)
	@echo "Everything is in .venv; its commands are in $(BIN), such as $(BIN)/stt."

# stamp files: nothing is installed while a lock is unchanged
$(INSTALLED): pyproject.toml requirements/runtime.txt tools/setup.sh tools/lock_lines.sh
	@PYTHON="$(PYTHON)" sh tools/setup.sh
	@touch $@

# the same versions and the development tools, for the targets that need them
$(DEVELOPMENT): pyproject.toml requirements/dev.txt tools/setup.sh tools/lock_lines.sh
	@PYTHON="$(PYTHON)" sh tools/setup.sh requirements/dev.txt
	@touch $(INSTALLED) $@

demo: $(INSTALLED)  ## Transcribe the sample meetings through a whole Dagster instance and score the result
	$(BIN)/stt demo

up: $(INSTALLED)  ## Start Postgres, the Dagster UI, its daemon and the admin API; Ctrl-C stops them
	$(BIN)/stt up

# each test file runs in one process, because its tests share servers. The slowest files start first (conftest.py). They
# wait for other processes for some of their time, so three test processes keep two cores busy
SIDE_BY_SIDE := -n 3 --dist loadfile --no-loadscope-reorder

test: $(DEVELOPMENT)  ## Run every test in about eleven minutes, but those that .ci/run runs apart: faults, walk, benchmarks
	$(BIN)/python -m pytest -m "not faults and not walk and not benchmarks" $(SIDE_BY_SIDE)

walk: $(DEVELOPMENT)  ## Run the commands of README one after the other
	$(BIN)/python -m pytest -m walk stt_pipeline_tests/cli/test_readme_walk.py

faults: $(DEVELOPMENT)  ## Kill and stop processes of a running stack, one after the other; make test leaves this out
	$(BIN)/python -m pytest -m faults stt_pipeline_tests/faults

check: $(DEVELOPMENT)  ## Check format, lint, types and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fuzz: $(DEVELOPMENT)  ## Decode 10,000 mutated recordings of every container; fewer: make fuzz ARGS="--count 500"
	$(BIN)/python -m tools.fuzz $(ARGS)

docs: $(DEVELOPMENT)  ## Write the generated pages again: .env.example, docs/backends.md, the rooms
	$(BIN)/python -m tools.env_example > .env.example
	$(BIN)/python -m tools.backends_page > docs/backends.md
	$(BIN)/python -m tools.rooms

# `make bench NAME=x ARGS=...` is `python -m benchmarks.x ...`
bench: $(DEVELOPMENT)  ## List the benchmarks, or run one: make bench NAME=...
ifdef NAME
	$(BIN)/python -m benchmarks.$(NAME) $(ARGS)
else
	@for file in $$(grep -l __main__ benchmarks/[a-z]*.py); do \
	    name=$${file#benchmarks/}; \
	    printf '  make bench NAME=%-16s %s\n' "$${name%.py}" "$$(sed -n '1s/"""//gp' $$file)"; \
	done
endif

SBOM := sbom.cdx.json

sbom: $(DEVELOPMENT)  ## Write sbom.cdx.json: the packages that the product needs, with versions and hashes (CycloneDX)
	@$(BIN)/python -W ignore::UserWarning -m cyclonedx_py requirements requirements/runtime.txt \
	    --pyproject pyproject.toml --output-reproducible --output-format JSON --output-file $(SBOM)

LOCK := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-annotate \
    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --quiet

lock: $(DEVELOPMENT)  ## Resolve the versions in requirements/ again (make lock ARGS=--upgrade takes newer ones)
	$(LOCK) --extra dev -o requirements/dev.txt $(ARGS)
	$(LOCK) -c requirements/dev.txt -o requirements/runtime.txt $(ARGS)
	$(LOCK) -c requirements/dev.txt --extra demo-model -o requirements/demo-model.txt $(ARGS)
	$(LOCK) --extra whisperx -o requirements/whisperx.txt $(ARGS)
