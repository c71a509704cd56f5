"""Folders as a user meets them who is not root, as whom tests often run."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def not_to_be_entered(directory: Path) -> Iterator[None]:
    """Let this process look at nothing in the directory, as a user may not who is not root."""
    stat = os.stat

    def refuse(path: str | Path | int, **given: Any) -> os.stat_result:
        if not isinstance(path, int) and directory in Path(os.fsdecode(path)).parents:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return stat(path, **given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "stat", refuse)
        yield
