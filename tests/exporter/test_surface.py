from __future__ import annotations

import pytest

from tests.exporter.surface import FOLDER, GOLDEN


@pytest.mark.parametrize("name", GOLDEN)
def test_what_others_see_is_as_it_was(name: str) -> None:
    """Routes, OpenAPI description and help are those of their golden file, which `surface.py` writes."""
    assert list(GOLDEN[name]()) == (FOLDER / name).read_text(encoding="utf-8").splitlines()
