# Sourced by scripts/quickstart and scripts/test: `set_up EXTRAS` makes .venv in the checkout and installs nmt into it.
# Safe to run again; quick when nothing has changed. PYTHON=… names another interpreter.

say() { printf '\n==> %s\n' "$*" >&2; }

fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# The CPU build of torch, where the ordinary Linux one would bring gigabytes of CUDA for a GPU that is not there.
install_torch() {
  if [ "$(uname -s)" != Linux ] || [ -e /proc/driver/nvidia/version ] || command -v nvidia-smi >/dev/null 2>&1; then
    return # the ordinary build is right: it comes with nmt
  fi
  say "No NVIDIA driver: installing the CPU build of torch"
  .venv/bin/pip install --quiet --disable-pip-version-check 'torch==2.13.0+cpu' 2>/dev/null && return
  # pip's own sources do not offer that build; uv knows where PyTorch keeps it
  .venv/bin/pip install --quiet --disable-pip-version-check uv || fail "pip cannot install uv: is there a network?"
  .venv/bin/uv pip install --python .venv/bin/python --torch-backend=cpu 'torch>=2.11,<2.14' ||
    fail "the CPU build of torch cannot be fetched; install torch>=2.11,<2.14 into .venv yourself and run this again"
}

set_up() {
  local extras=$1 python=${PYTHON:-python3} wanted
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail "$python is not Python 3.11 or newer: name one with PYTHON=/path/to/python"
  wanted="$extras $("$python" -V) $(cksum <pyproject.toml)"
  grep -qxF -- "$wanted" .venv/installed 2>/dev/null && return
  if ! [ -x .venv/bin/pip ] || [ "$(.venv/bin/python -V)" != "$("$python" -V)" ]; then
    say "Making a virtual environment in .venv ($("$python" -V))"
    "$python" -m venv --clear .venv || fail "$python cannot make a virtual environment (on Debian: apt install python3-venv)"
  fi
  .venv/bin/python -c 'import torch' 2>/dev/null || install_torch
  say "Installing nmt and what it needs (about a minute)"
  .venv/bin/pip install --quiet --disable-pip-version-check --editable ".$extras" || fail "the installation failed"
  printf '%s\n' "$wanted" >>.venv/installed
}
