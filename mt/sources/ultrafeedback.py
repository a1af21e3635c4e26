"""UltraFeedback, the paper's prompts (data=ultrafeedback)."""

from __future__ import annotations

from mt.sources.hub import HubData


class Ultrafeedback(HubData):
    """UltraFeedback by its hub name (Cui et al. 2024); its YAML file names the revision."""
