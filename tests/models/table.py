"""Write docs/models.md: the families of these tests, and what holds of each.

    python -m tests.models.table

Every cell is one that a test of the family checks, so that the table is true while `make test-models` passes.
"""

from __future__ import annotations

from pathlib import Path

from tests.models.families import FAMILIES
from tests.models.family import Family

PAGE = Path(__file__).resolve().parents[2] / "docs" / "models.md"
INTRODUCTION = """# Model families

`make test-models` runs every family below through the main command: sampling, scoring, reference log-probabilities,
one training step of the policy and one of the reward model. The results are compared with plain transformers, one row
at a time and without padding, in float32. The models are shrunk and have random weights; their configurations keep what
is special about the family. The tokenizers are trained on a small text and keep the public ones' pipeline and special
tokens; the chat templates are of our own wording and keep the public ones' structure.

What holds of each family:

- **sampling**: every sampled token lies in the top-p set of the model's own distribution; the sampler's log-probability
  equals the model's. Prompts are read once for all of their responses, or once for each response where a recurrent
  state cannot be shared.
- **log-probabilities** of the sampled ids, as they were sampled, equal the model's within 1e-4.
- **rewards** equal those of the family's own class for sequence classification within 1e-4. Where transformers has no
  such class, the family's policy is run with a reward model of Llama 3.
- **templates**: a special token that a message spells stays text, and a turn that the template refuses is refused in
  one line before anything is computed.
- **training**: loss, gradient norm and updated weights are those of the same step in plain PyTorch on the same ids.
- **published**: the trained folders load in transformers without a missing, unexpected or mismatched weight.

SmolLM2-135M-Instruct passes the same comparisons with its real weights (`make smollm2`), and a killed training of it
ends with the same weights as an uninterrupted one. `make test-engines` makes them with vLLM's samples and rewards, too.
"""
COLUMNS = ("family", "model", "tokenizer", "chat template", "prompts read", "log-probabilities", "rewards", "training")


def page() -> str:
    """Return the page."""
    lines = [INTRODUCTION, _line(COLUMNS), _line(["---"] * len(COLUMNS))]
    return "\n".join([*lines, *(_line(_cells(family)) for family in FAMILIES.values()), ""])


def _cells(family: Family) -> list[str]:
    reads = {"shared prompt pass": "once a prompt", "one prompt pass per response": "once a response"}
    return [
        family.name,
        f"`{family.causal}`" + (f": {family.note}" if family.note else ""),
        family.tokens,
        family.template,
        reads[family.sampling],
        "equal",
        "equal" if family.reward else "no class in transformers",
        "equal",
    ]


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;').replace('<', '&lt;') for cell in cells)} |"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
