#!/usr/bin/env bash
# Set up (nothing when that is done), check style and types, run the tests that a CPU can run.
# Arguments go to pytest:   bash scripts/test.sh tests/data -k lmdb      bash scripts/test.sh -m gpu
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash scripts/setup_env.sh
.venv/bin/python -m ruff check satvsr_plugin scripts tests setup.py
.venv/bin/python -m mypy
# Test files share the cores, each with a thread of its own: small tensors gain nothing from more. On a GPU they take
# turns.
together=(--numprocesses auto --maxprocesses 4 --dist loadfile)
[[ " $* " != *' gpu '* && " $* " != *' -n'* ]] || together=()
exec .venv/bin/python -m pytest "${together[@]}" "$@"
