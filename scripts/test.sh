#!/usr/bin/env bash
# Lints, checks the types and runs the tests; --all adds the slow ones. Makes .venv at the first call.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"

case "$#:${1:-}" in
    0:) selection=(-m "not slow") ;;
    1:--all) selection=(-m "slow or not slow") ;;
    *) fail "usage: bash scripts/test.sh [--all]" ;;
esac

ensure_environment dev
cd "$repository"
python="$environment/bin/python"

echo "Linting."
"$python" -m ruff check .
"$python" -m ruff format --check .
echo "Checking types."
"$python" -m mypy
echo "Testing."
# One thread a process: with more, the processes take each other's cores.
OMP_NUM_THREADS=1 "$python" -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal "${selection[@]}"
