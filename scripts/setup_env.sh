#!/usr/bin/env bash
# Makes .venv with the pinned, tested set of packages and this package, editable. See --help.
set -euo pipefail

TORCH=2.13.0
TORCHVISION=0.28.0
BASICSR=1.4.2
MMCV=2.2.0  # scripts/install_mmcv.py compiles this version

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=$ROOT/.venv
STAMP=$VENV/.satvsr_setup

usage() {
    cat <<TEXT
Usage: bash scripts/setup_env.sh [--force]

Makes $VENV with torch $TORCH, torchvision $TORCHVISION, basicsr $BASICSR, mmcv $MMCV
(with its compiled operators; for CUDA too when a GPU and nvcc are here) and satvsr_plugin, editable.
Does nothing when that is done already. An interrupted run can be repeated.

  --force   look at every step again and reinstall torch, torchvision and basicsr
  --help    show this

Environment variables:
  PYTHON           the Python to build on, 3.10 to 3.12 (default: the first of python3, python3.12, .11, .10 that fits)
  UV_FIND_LINKS    folders with ready wheels, separated by commas; an mmcv wheel there saves 10 to 40 minutes
  XDG_CACHE_HOME   a compiled mmcv is kept in its folder satvsr_plugin (default: ~/.cache)

Exit codes: 0 done, 1 a step failed, 2 the machine lacks something (a fitting Python, a compiler).
TEXT
}

say() { printf '%s\n' "$*"; }

fail() {  # fail CODE MESSAGE
    printf 'error: %s\n' "$2" >&2
    exit "$1"
}

# Relative folders in UV_FIND_LINKS are meant from where the caller stands.
absolute_links() {
    [[ -n ${UV_FIND_LINKS:-} ]] || return 0
    local link links=()
    local IFS=,
    for link in $UV_FIND_LINKS; do
        if [[ -d $link ]]; then link=$(cd "$link" && pwd); fi
        links+=("$link")
    done
    export UV_FIND_LINKS="${links[*]}"
}

# What the environment depends on: these files, the folder it lies in, and the GPUs and CUDA compiler.
state() {
    {
        cat "$ROOT/setup.py" "$ROOT/pyproject.toml" "$ROOT/scripts/setup_env.sh" "$ROOT/scripts/install_mmcv.py"
        say "$ROOT"
        nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null || true
        nvcc --version 2>/dev/null || true
    } | cksum
}

up_to_date() {
    [[ -f $STAMP && $(<"$STAMP") == "$(state)" ]] && "$VENV/bin/python" -c '' 2>/dev/null || return 1
    local package
    for package in "torch-$TORCH" "torchvision-$TORCHVISION" "basicsr-$BASICSR" "mmcv-$MMCV"; do
        compgen -G "$VENV/lib/python3*/site-packages/$package*.dist-info" >/dev/null || return 1
    done
}

python_fits() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null; }

version_of() { "$1" --version 2>/dev/null || printf 'missing'; }

find_python() {
    local candidate candidates=(python3 python3.12 python3.11 python3.10)
    [[ -z ${PYTHON:-} ]] || candidates=("$PYTHON")
    for candidate in "${candidates[@]}"; do
        if python_fits "$candidate"; then
            say "$candidate"
            return
        fi
    done
    candidate=${PYTHON:-python3}
    fail 2 "basicsr $BASICSR and mmcv $MMCV need Python 3.10, 3.11 or 3.12, and $candidate is $(version_of "$candidate");\
 install one, or name it: PYTHON=/path/to/python3.12 bash scripts/setup_env.sh"
}

make_venv() {
    local python
    if "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
        python_fits "$VENV/bin/python" && return
        fail 2 "$VENV was made with $(version_of "$VENV/bin/python"), and Python 3.10, 3.11 or 3.12 is needed;\
 remove that folder and run this again"
    fi
    python=$(find_python)
    say "Making $VENV with $(version_of "$python")"
    # --clear: what an interrupted run left there must go.
    "$python" -m venv --clear "$VENV" || fail 2 "$python cannot make a virtual environment;\
 on Debian and Ubuntu install its venv package, e.g. \"apt install python3-venv\""
}

# uv rather than pip: pip prefers a local torch file of the CPU, next to which torchvision does not load.
install() { "$VENV/bin/uv" pip install --python "$VENV/bin/python" "$@"; }

install_packages() {
    local reinstall=''
    [[ $force == no ]] || reinstall=--reinstall
    "$VENV/bin/python" -m pip install --quiet uv
    # setuptools and wheel: basicsr and mmcv are built with the torch installed here, so not in isolation.
    local torch=("torch==$TORCH" "torchvision==$TORCHVISION" 'setuptools<81' wheel ninja)
    say "Installing torch $TORCH and torchvision $TORCHVISION"
    install ${reinstall:+"$reinstall"} "${torch[@]}"
    "$VENV/bin/python" -c 'import torch, torchvision' 2>/dev/null || install --reinstall "${torch[@]}"
    say "Installing basicsr $BASICSR"
    install ${reinstall:+"$reinstall"} --no-build-isolation "torch==$TORCH" "basicsr==$BASICSR" 'setuptools<81'
    "$VENV/bin/python" "$ROOT/scripts/install_mmcv.py"
    say 'Installing satvsr_plugin and what its tests need'
    install --no-build-isolation "torch==$TORCH" "torchvision==$TORCHVISION" "mmcv==$MMCV" --editable "${ROOT}[test]"
}

force=no
for argument in "$@"; do
    case $argument in
        --force) force=yes ;;
        --help | -h) usage; exit 0 ;;
        *) usage >&2; fail 2 "unknown argument: $argument" ;;
    esac
done

absolute_links
cd "$ROOT"
if command -v flock >/dev/null; then
    exec 9>"$ROOT/.venv.lock"
    flock --nonblock 9 || { say 'Another run is setting up; waiting for it.'; flock 9; }
fi
if [[ $force == no ]] && up_to_date; then
    say "The environment is ready: $VENV"
    exit 0
fi
rm -f "$STAMP"
make_venv
install_packages
"$VENV/bin/basicsr" doctor
state >"$STAMP"
say "The environment is ready: $VENV (source .venv/bin/activate)"
