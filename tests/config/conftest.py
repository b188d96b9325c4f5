from __future__ import annotations

from pathlib import Path

import pytest
from config_files import BALL


@pytest.fixture
def ball(tmp_path: Path) -> Path:
    path = tmp_path / "ball.yaml"
    path.write_text(BALL)
    return path
