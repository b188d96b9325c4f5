#!/usr/bin/env bash
# The main job: trains a network on real digits, watches its last layer collapse, and compares with theory.
# Makes .venv in the repository at the first call.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"

for argument in "$@"; do
    case "$argument" in
        [!=-]*=*) ;;
        *) fail "usage: bash scripts/demo.sh [dotted.key=value ...], for example training.epochs=20" ;;
    esac
done

ensure_environment run
results="$repository/results/runs/digits_ball/$(date +%Y-%m-%d_%H-%M-%S)"
"$environment/bin/nc-bench" train --config "$repository/configs/digits_ball.yaml" --out "$results" "$@"
echo "The results are in $results"
