"""Makes the failures of shared checks as readable as those of tests."""

import pytest

pytest.register_assert_rewrite("tests.models.checks", "tests.models.plain", "tests.models.driven")
