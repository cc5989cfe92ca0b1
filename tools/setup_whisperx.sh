#!/bin/sh
# Makes .venv-whisperx: ours with the whisperx extra, for its tests, which need no GPU. `.ci/run` calls it.
# Not for production: torch is newer than whisperx asks for, and audio files are decoded by ours alone.
set -eu

venv=.venv-whisperx
stamp=$venv/.installed
if [ -e "$stamp" ] && [ -z "$(find pyproject.toml constraints-whisperx.txt tools/setup_whisperx.sh -newer "$stamp")" ]; then
    exit 0
fi
[ -x "$venv/bin/python" ] || .venv/bin/python -m venv "$venv"

# pip's own index decides whether this is a CPU build (2.6 GB in all) or, as on PyPI for Linux, one for CUDA (7.6 GB); the
# tests are the same. pip rather than uv, because it knows where this machine keeps its wheels; the next step finds torch there
"$venv/bin/python" -m pip install -qq --disable-pip-version-check torch==2.13.0

overrides=$(mktemp)
constraints=$(mktemp)
trap 'rm -f "$overrides" "$constraints"' EXIT
cat >"$overrides" <<'LINES'
torch==2.13.0
torchaudio>=2.8
torchcodec>=0.7
torchvision; python_version < "3"
triton; python_version < "3"
LINES
# the lock has the CUDA builds and an older torch
grep -v -E '^(torch(audio|codec|vision)?|triton|nvidia-[a-z0-9-]+)==' constraints-whisperx.txt >"$constraints"
.venv/bin/uv pip install --quiet --python "$venv/bin/python" --overrides "$overrides" -c "$constraints" \
    -e '.[whisperx]' pytest

# beside a CPU build of torch, torchaudio's own library misses CUDA; nothing here needs it
if ! "$venv/bin/python" -W ignore -c 'import torchaudio' 2>/dev/null; then
    libraries=$("$venv/bin/python" -c 'import importlib.util; print(importlib.util.find_spec("torchaudio").submodule_search_locations[0])')/lib
    mv "$libraries" "$libraries.unused"
    "$venv/bin/python" -W ignore -c 'import torchaudio'
fi
touch "$stamp"
