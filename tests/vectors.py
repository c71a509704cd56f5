"""Known answers that stand beside the repository, in `../shared/vectors`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[1] / ".." / "shared" / "vectors"


def load(file: str, vector_id: str) -> dict[str, Any]:
    """Return one vector of `file` ("analytics" or "analytics.json"); the test is skipped where the folder is absent.

    Raises:
        KeyError: the file has no vector of that id.
    """
    path = FOLDER / f"{file.removesuffix('.json')}.json"
    if not FOLDER.is_dir():
        pytest.skip("known answers are not here: ../shared/vectors is absent")
    for vector in json.loads(path.read_text(encoding="utf-8"))["vectors"]:
        if vector["id"] == vector_id:
            return dict(vector)
    raise KeyError(f"{path.name} has no vector {vector_id!r}")
