"""DPO step by step by our engine and by TRL's DPOTrainer: the same rows, order and settings, loss beside loss."""

from __future__ import annotations

from transformers import PrinterCallback

from benchmarks.training_bench import DPO, Bench, prepared, training
from benchmarks.training_trl import same_schedule, trl_trainer

STEPS = 12


def losses(bench: Bench) -> list[tuple[float, float]]:
    """Return (our loss, TRL's loss) of every one of the first steps of a training."""
    options = bench.options
    few = Bench(bench.folder, bench.pairs[: STEPS * options.batch_size], options)
    options.report_steps, ours = 1, []
    engine, _ = prepared(few, "policy", lambda step, total, metrics: ours.append(metrics["loss"]))
    engine.train()
    ordered = [few.pairs[row] for batch in engine.steps.batches for row in batch]
    config = training(options)
    peer = trl_trainer(
        few.folder,
        ordered,
        "policy",
        options,
        use_cpu=engine.args.device.type == "cpu",
        train_sampling_strategy="sequential",
        beta=DPO.beta,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_gradient_norm,
        logging_steps=1,
    )
    peer.remove_callback(PrinterCallback)
    same_schedule(peer, engine.factor)
    peer.train()
    theirs = [entry["loss"] for entry in peer.state.log_history if "loss" in entry]
    return list(zip(ours, theirs, strict=True))


def compare(found: list[tuple[float, float]]) -> list[str]:
    """Return the losses side by side, and their largest difference."""
    lines = [f"{'step':>8}{'our loss':>12}{'TRL loss':>12}{'difference':>12}"]
    lines += [f"{step:>8}{one:>12.6f}{two:>12.6f}{one - two:>12.1e}" for step, (one, two) in enumerate(found, 1)]
    return [*lines, f"largest difference {max(abs(one - two) for one, two in found):.1e}"]
