#!/usr/bin/env bash
# Lints, checks the types and runs the tests; --all adds the slow ones, for which it installs Chromium where it may.
# Makes .venv at the first call.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"

case "$#:${1:-}" in
    0:) selection=(-m "not slow") ;;
    1:--all) selection=(-m "slow or not slow") ;;
    *) fail "usage: bash scripts/test.sh [--all]" ;;
esac

# The slow tests of the page need a browser; where it cannot be installed they fail and say so.
ensure_browser() {
    if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then
        return
    fi
    if [ "$EUID" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing chromium and chromium-driver."
        export DEBIAN_FRONTEND=noninteractive
        if apt-get update -qq && apt-get install -y -qq chromium chromium-driver >/dev/null; then
            return
        fi
    fi
    echo "warning: chromium and chromium-driver are not installed, so the tests of the page will fail" >&2
}

ensure_environment dev
if [ "${1:-}" = --all ]; then
    ensure_browser
fi
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
