#!/bin/sh
# Makes .venv-whisperx: this package with the whisperx extra, for its tests, which need no GPU. `.ci/run` calls it.
# Not for production: torch is newer than whisperx requires, and only this package decodes audio files.
set -eu

venv=.venv-whisperx
stamp=$venv/.installed
if [ -e "$stamp" ] && [ -z "$(find pyproject.toml requirements/whisperx.txt tools/setup_whisperx.sh -newer "$stamp")" ]; then
    exit 0
fi
[ -x "$venv/bin/python" ] || .venv/bin/python -m venv "$venv"

lock=$(mktemp)
test_lock=$(mktemp)
trap 'rm -f "$lock" "$test_lock"' EXIT
# without the CUDA builds and the older torch
sh tools/lock_lines.sh except 'torch(audio|codec|vision)?|triton|nvidia-[a-z0-9-]+' requirements/whisperx.txt >"$lock"
sh tools/lock_lines.sh only 'pytest|pluggy|iniconfig' requirements/dev.txt >"$test_lock"
uv() { .venv/bin/uv pip install --quiet --python "$venv/bin/python" --no-deps "$@"; }
uv --require-hashes -r "$lock" -r "$test_lock"

# pip's own index decides whether this is a CPU build (2.6 GB in all) or, as on PyPI for Linux, one for CUDA (7.6 GB); the
# tests are the same. pip rather than uv, because pip is configured with the wheels of this machine. No hash: such a wheel
# has another hash than the one on PyPI
"$venv/bin/python" -m pip install -qq --disable-pip-version-check torch==2.13.0
uv 'torchaudio>=2.8' 'torchcodec>=0.7'
uv --no-build-isolation -e .

# beside a CPU build of torch, torchaudio's library does not find CUDA; nothing here needs that library
if ! "$venv/bin/python" -W ignore -c 'import torchaudio' 2>/dev/null; then
    libraries=$("$venv/bin/python" -c 'import importlib.util; print(importlib.util.find_spec("torchaudio").submodule_search_locations[0])')/lib
    mv "$libraries" "$libraries.unused"
    "$venv/bin/python" -W ignore -c 'import torchaudio'
fi
touch "$stamp"
