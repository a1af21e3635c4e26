"""All families, by name."""

from __future__ import annotations

from tests.models.attention import ATTENTION
from tests.models.experts import EXPERTS
from tests.models.hybrid import HYBRID
from tests.models.scaled import SCALED

FAMILIES = {family.name: family for family in [*ATTENTION, *SCALED, *EXPERTS, *HYBRID]}
