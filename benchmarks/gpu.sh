#!/usr/bin/env bash
# Sampling, scoring and training on a GPU in at most five minutes: a Llama of 1.1B weights and one of SmolLM2's shape,
# random weights, transformers engines, TRL beside them where it is installed. Adds a section to benchmarks/gpu.md, line
# by line as each kind of work ends and the most telling first; without a GPU it runs a tiny model, says so and writes
# nothing.
#
#   bash benchmarks/gpu.sh            PYTHON=/path/to/python OUTPUT=gpu.md SECONDS_ALLOWED=290 bash benchmarks/gpu.sh
#
# Targets: DPO at 45% of the measured bf16 ceiling, scoring at 55%, 1.5 times as fast as TRL or plain transformers.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python} output=${OUTPUT:-benchmarks/gpu.md} allowed=${SECONDS_ALLOWED:-290}
facts=$("$python" - <<'PYTHON'
import importlib.util, torch, transformers
trl = importlib.util.find_spec("trl") is not None
print(int(torch.cuda.is_available()), "--usual" if trl else "--no-usual", transformers.__version__, torch.version.cuda)
PYTHON
)
read -r gpu usual transformers cuda <<<"$facts"
if [ "$gpu" = 0 ]; then
    echo "no GPU here: a tiny model on the CPU, to see that everything runs"
    "$python" -m benchmarks.throughput --shape tiny --prompts 12 --batch-size 4 "$usual"
    exit
fi
commit=$(git describe --always --dirty 2>/dev/null || echo unknown)
card=$(nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader | head -1)
printf '\n## %s\n\nCommit %s, memory, driver: %s; transformers %s, CUDA %s.\n' \
    "${card%%,*}, $(date +%F)" "$commit" "${card#*, }" "$transformers" "$cuda" >>"$output"
for shape in llama_1b smollm2; do
    printf '\n### %s\n\n' $shape >>"$output"
    # no pipe: a reader that ends would end the measurement
    timeout $((allowed > SECONDS ? allowed - SECONDS : 1)) "$python" -m benchmarks.throughput --shape $shape \
        --works dpo scoring reward sampling "$usual" >>"$output" ||
        printf '\nEnded with exit code %s after %s s in all: what has no line was not measured.\n' $? $SECONDS >>"$output"
done
