"""What a person contributes to an experiment."""

from __future__ import annotations

from typing import Final

EXPERIMENT_PROPERTY: Final = "experiment"
"""The property that names the experiment of an event of type `conversion`."""
MIXED: Final = ""
"""The variant under which users seen in two arms are counted; no variant has an empty name."""
