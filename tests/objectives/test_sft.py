import torch

from mt.objectives import ResponseLogps
from tests.objectives.example import column, loss


def responses(weight: float | None = None) -> ResponseLogps:
    return ResponseLogps(column(-10), torch.tensor([5]), None if weight is None else column(weight))


def test_by_hand() -> None:
    assert loss("sft", responses(), per_token=False)[0].item() == 10
    assert loss("sft", responses(), per_token=True)[0].item() == 2


def test_the_weight_multiplies_the_loss_and_not_the_metrics() -> None:
    loss_B, metrics = loss("sft", responses(weight=0.5), per_token=True)
    assert loss_B.item() == 1
    assert metrics["nll"].item() == 2
