#!/bin/sh
# Prints some packages of a lock, with their hashes: only those whose name matches, or all but those.
# Usage: lock_lines.sh only|except 'NAME|NAME...' requirements/FILE.txt (names are extended regular expressions)
set -eu

awk -v mode="$1" -v names="^($2)==" '
    /^[a-z0-9]/ { match_found = $0 ~ names; wanted = mode == "only" ? match_found : !match_found }
    wanted
' "$3"
