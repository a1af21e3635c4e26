from pathlib import Path

import pytest
import yaml

from mt.sources.world import WorldData
from mt.world.world import World, build_world

CONFIG = Path(__file__).parents[2] / "conf" / "data" / "world.yaml"


@pytest.fixture(scope="session")
def config() -> WorldData:
    return WorldData.model_validate({**yaml.safe_load(CONFIG.read_text()), "seed": 0})


@pytest.fixture(scope="session")
def world(config: WorldData) -> World:
    return build_world(0, config.language)
