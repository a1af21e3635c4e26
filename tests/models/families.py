"""All families, by name."""

from __future__ import annotations

from tests.models.attention import ATTENTION
from tests.models.hybrid import HYBRID

FAMILIES = {family.name: family for family in [*ATTENTION, *HYBRID]}
