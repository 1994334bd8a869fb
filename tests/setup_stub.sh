#!/usr/bin/env bash
# Stands in for python, uv and basicsr in tests/test_setup_env.py: writes down each call, leaves what the real one
# leaves. STUB_VERSION is the version that it claims to be.
name=$(basename "$0")
echo "$name $* links=${UV_FIND_LINKS:-}" >>"$STUB_CALLS"
venv=$(cd "$(dirname "$0")/.." && pwd)
site=$venv/lib/python3.11/site-packages
case "$name $*" in
    *version_info*) [[ $STUB_VERSION != 3.13.* ]] ;;
    'python --version') echo "Python $STUB_VERSION" ;;
    'python -m venv --clear '*) rm -rf "$4" && mkdir -p "$4/bin" && cp "$0" "$4/bin/python" && touch "$4/bin/pip" ;;
    'python -m pip --version') [[ -e $venv/bin/pip ]] ;;
    'python -m pip install '*uv) cp "$0" "$venv/bin/uv" ;;
    'uv pip install '*torchvision==0.28.0*wheel*) mkdir -p "$site"/torch{,vision}-{2.13.0,0.28.0}.dist-info ;;
    'uv pip install '*basicsr==1.4.2*) mkdir -p "$site/basicsr-1.4.2.dist-info" ;;
    *install_mmcv.py*) [[ -z ${STUB_MMCV_FAILS:-} ]] || exit "$STUB_MMCV_FAILS"; mkdir -p "$site/mmcv-2.2.0.dist-info" ;;
    'uv pip install '*--editable*) cp "$0" "$venv/bin/basicsr" ;;
    'basicsr doctor') exit "${STUB_DOCTOR:-0}" ;;
esac
