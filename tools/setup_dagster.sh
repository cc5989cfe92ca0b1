#!/bin/sh
# Makes .venv-dagster: the locked packages with another Dagster, to run tests with it. `.ci/run` calls it.
# Without an argument: the version before the locked one. With one, as in `sh tools/setup_dagster.sh 1.13.25`: that version.
set -eu

venv=.venv-dagster
lock=requirements/dev.txt
locked=$(sed -n -E 's/^dagster==([0-9.]+).*/\1/p' "$lock")
version=${1:-${locked%.*}.$((${locked##*.} - 1))}
# Dagster's libraries have other version numbers: those of 1.13.26 are 0.29.26
minor=${version#*.}
library_version=0.$((${minor%.*} + 16)).${version##*.}

stamp=$venv/.dagster-$version
if [ -e "$stamp" ] && [ -z "$(find pyproject.toml "$lock" tools/setup_dagster.sh -newer "$stamp")" ]; then
    exit 0
fi
rm -f "$venv"/.dagster-*
PYTHON=.venv/bin/python VENV=$venv sh tools/setup.sh "$lock"
# not locked, so without hashes: only tests use it
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps \
    "dagster==$version" "dagster-graphql==$version" "dagster-pipes==$version" "dagster-shared==$version" \
    "dagster-webserver==$version" "dagster-dg-cli==$version" "dagster-dg-core==$version" "dagster-cloud-cli==$version" \
    "dagster-rest-resources==$library_version" "dagster-postgres==$library_version" "dagster-aws==$library_version"
touch "$stamp"
