from __future__ import annotations

from typing import Any


def TokensPrompt(**values: Any) -> dict[str, Any]:
    return values
