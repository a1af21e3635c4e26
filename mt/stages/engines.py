"""What stages ask of engines before anything runs."""

from __future__ import annotations

from mt.config.engines import GeneratorConfig, ScorerConfig


def check_engine(engine: GeneratorConfig | ScorerConfig) -> None:
    """Refuse an engine that is not installed; GPUs are counted where the stage runs."""
    if engine.name == "vllm":
        from mt.engines.vllm_pool import check_installed

        check_installed()
