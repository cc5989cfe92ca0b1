#!/bin/sh
# Makes .venv with a Python from 3.11 to 3.13, and installs a lock's packages into it, this package as editable.
# Usage: setup.sh [requirements/FILE.txt], by default requirements/runtime.txt, which has no development tools. `make` calls it.
# PYTHON=/path/to/python chooses the interpreter, VENV=folder another folder than .venv.
set -eu

lock=${1:-requirements/runtime.txt}
venv=${VENV:-.venv}
in_range='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'

if ! "$venv/bin/python" -c "$in_range" 2>/dev/null; then
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if "$candidate" -c "$in_range" 2>/dev/null; then
            python=$candidate
            break
        fi
    done
    if [ -z "${python:-}" ]; then
        echo "No Python from 3.11 to 3.13 found (tried ${PYTHON:-python3 and python3.11 to python3.13})." >&2
        echo "Install one, or name it: make setup PYTHON=/path/to/python3.12" >&2
        exit 1
    fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        echo "$python cannot make virtual environments: its venv and ensurepip modules are in a separate package here." >&2
        echo "On Debian and Ubuntu: apt-get install python$version-venv" >&2
        exit 1
    fi
    "$python" -m venv --clear "$venv"
fi

pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }

# uv installs, and setuptools builds this package: both stay outside the environment
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
sh tools/lock_lines.sh only 'uv|setuptools' requirements/dev.txt >"$tools/lock.txt"

echo "Installing $(grep -c '^[a-z0-9].*==' "$lock") packages of $lock into $venv; the first time takes a minute ..."
pip install --quiet --target "$tools/packages" --require-hashes --no-deps -r "$tools/lock.txt"

# The lock first, with hashes: pip and uv reject a file with another hash. Then our package, which has no hash.
# --no-deps: the lock is complete. --no-build-isolation: setuptools is the locked one.
install_locked() { "$@" --require-hashes --no-deps -r "$lock"; }
install_ours() { PYTHONPATH="$tools/packages" "$@" --no-deps --no-build-isolation -e .; }

# uv is many times faster, but does not read the index that pip may have in its configuration.
if ! pip config list | grep -q '[.]index-url='; then
    uv() { "$tools/packages/bin/uv" pip install --quiet --python "$venv/bin/python" --compile-bytecode "$@"; }
    if install_locked uv && install_ours uv; then
        exit 0
    fi
    echo "uv failed (see above); pip tries again, which is slower." >&2
fi
install_locked pip install --quiet
install_ours pip install --quiet
