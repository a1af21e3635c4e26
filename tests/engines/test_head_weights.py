"""Reward models whose heads have several outputs, against plain transformers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

from mt.engines.models import check_model
from mt.errors import ModelError
from mt.stages.models import CombineHead, ModelFolder
from mt.stages.score import Score
from mt.types import Rewards
from tests.engines.settings import scorer_config
from tests.engines.tiny import answered_ids, tiny_config, tiny_tokenizer
from tests.methods.plans import compiled
from tests.stages.bench import TEMPLATE, Bench, given, samples

WEIGHTS = (0.5, -2.0, 1.0)
TEXTS = ("red fox", "the blue owl", "dog")


@pytest.fixture
def several(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = tiny_config(num_labels=3, tie_word_embeddings=False)
    model = AutoModelForSequenceClassification.from_config(config)
    model.save_pretrained(tmp_path / "several", max_shard_size="20KB")
    tiny_tokenizer().save_pretrained(tmp_path / "several")
    return tmp_path / "several"


def test_the_reward_is_the_weighted_sum_of_the_outputs(several: Path, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    model = CombineHead(ModelFolder("given", several, "reward", outputs=3), WEIGHTS)
    scores = Score(model, given(samples("a", *TEXTS, asked="tell me")), scorer_config(), TEMPLATE)
    found = bench.rows(scores, Rewards)[0].rewards
    plain = AutoModelForSequenceClassification.from_pretrained(several).eval()
    for text, reward in zip(TEXTS, found, strict=True):
        ids = answered_ids(several, [{"role": "user", "content": "tell me"}], text)
        with torch.inference_mode():
            states_1TD = plain.model(torch.tensor([ids])).last_hidden_state
            outputs_N = plain.score(states_1TD)[0, -1]
        assert reward == pytest.approx(sum(w * o for w, o in zip(WEIGHTS, outputs_N.tolist(), strict=True)), abs=1e-5)
    ordinary = AutoModelForSequenceClassification.from_pretrained(bench.run(model))
    assert ordinary.config.num_labels == 1 and ordinary.score.weight.shape == (1, 16)


def test_all_other_weights_and_files_stay_as_they_are(several: Path, tmp_path: Path) -> None:
    folder = Bench(tmp_path).run(CombineHead(ModelFolder("given", several, "reward", outputs=3), WEIGHTS))
    files = sorted(several.glob("*.safetensors"))
    assert len(files) > 1, "the weights lie in several files"
    for path in files:
        before, after = load_file(path), load_file(folder / path.name)
        assert before.keys() == after.keys()
        assert all(torch.equal(after[name], before[name]) for name in before if name != "score.weight")
    assert (folder / "tokenizer.json").read_bytes() == (several / "tokenizer.json").read_bytes()


def test_a_run_reads_such_a_model_by_its_weights(several: Path, tmp_path: Path) -> None:
    named = (f"reward.path={several}", f"store={tmp_path}/store")
    graph = compiled(*named, "reward.head_weights=[0.5,-2,1]").graph
    assert isinstance(graph.base.reward, CombineHead) and graph.base.reward.weights == WEIGHTS
    graph.base.reward.initial.check()
    graph.base.reward.initial.inspect()
    with pytest.raises(
        ModelError, match=r"shape \[3, 16\]\. Allowed: \[1, hid.* Set reward\.head_weights to the 3 weig"
    ):
        compiled(*named)
    with pytest.raises(ModelError, match=r"shape \[3, 16\]\. Allowed: \[2, hidden size\], an output for each weight"):
        check_model(several, "reward", outputs=2)
