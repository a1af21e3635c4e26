#!/usr/bin/env bash
# Sampling, scoring and training on a GPU in at most five minutes: a Llama of SmolLM2's shape and one of 1.1B weights,
# random weights, transformers engines, TRL beside them where it is installed. Writes benchmarks/gpu.md; without a GPU
# it runs a tiny model, says so and writes nothing.
#
#   bash benchmarks/gpu.sh            PYTHON=/path/to/python bash benchmarks/gpu.sh
#
# Targets: DPO at 45% of the measured bf16 ceiling, scoring at 55%, 1.5 times as fast as TRL or plain transformers.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python}
usual=$("$python" -c 'import importlib.util as u; print("--usual" if u.find_spec("trl") else "--no-usual")')
if ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    echo "no GPU here: a tiny model on the CPU, to see that everything runs"
    "$python" -m benchmarks.throughput --shape tiny --prompts 12 --batch-size 4 "$usual"
    exit
fi
{
    echo "# On a GPU"
    echo
    echo "\`bash benchmarks/gpu.sh\` at commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown):" \
        "$(nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader | head -1);" \
        "$("$python" -c 'import torch, transformers; print("transformers", transformers.__version__, "CUDA", torch.version.cuda)')"
    for shape in smollm2 llama_1b; do
        echo
        echo "## $shape"
        echo
        timeout 140 "$python" -m benchmarks.throughput --shape $shape --dtype bfloat16 --prompts 256 --batch-size 64 \
            --micro-batch-tokens 16384 "$usual" || echo "did not end within 140 s"
    done
} | tee benchmarks/gpu.md.part
mv benchmarks/gpu.md.part benchmarks/gpu.md
