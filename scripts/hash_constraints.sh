#!/usr/bin/env bash
# Writes constraints-hashed.txt: the versions of constraints.txt and everything that they need, each with the SHA-256
# of all its files, for `pip install --require-hashes -r constraints-hashed.txt`. Run it when constraints.txt changes.
# It needs the network and `uv` (pip install uv); which package index is asked does not enter the file.
set -euo pipefail
cd "$(dirname "$0")/.."
target=constraints-hashed.txt
uv pip compile pyproject.toml --extra dev --extra slurm --constraint constraints.txt --universal \
    --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
    --quiet --output-file "$target.new"
{
    echo "# Written by scripts/hash_constraints.sh: pip install --require-hashes -r constraints-hashed.txt"
    cat "$target.new"
} >"$target"
rm "$target.new"
