"""What real programs sent while a server of ours kept a ledger of their calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.recordings.emitters import EMITTERS, Emitter
from tests.recordings.environments import folder_of
from tests.recordings.replay import comparable, recording, recordings, replay

FOLDERS = recordings()


def names(folder: Path) -> str:
    """Return the emitter and the version of a recording."""
    return f"{folder.parent.name} {folder.name}"


def test_every_emitter_of_the_table_has_a_recording_of_its_version() -> None:
    """A version that is raised in the table is recorded anew; those of before stay."""
    here = {(folder.parent.name, folder.name) for folder in FOLDERS}
    assert {(emitter.name, emitter.version) for emitter in EMITTERS} <= here


@pytest.mark.parametrize("emitter", EMITTERS, ids=lambda emitter: emitter.name)
def test_what_is_not_told_has_its_reason_in_the_table(emitter: Emitter) -> None:
    """A ledger leaves out of the comparison what the table says, and nothing else."""
    assert recording(folder_of(emitter)).not_told == emitter.not_told


@pytest.mark.parametrize("is_reversed", [False, True], ids=["as sent", "reversed and repeated"])
@pytest.mark.parametrize("folder", FOLDERS, ids=names)
def test_every_call_of_a_recording_is_counted_as_it_was_made(folder: Path, is_reversed: bool, tmp_path: Path) -> None:
    """Calls, errors, tokens, cents and users of each model are those of the ledger, in any order of the requests."""
    made = recording(folder)
    requests = [*reversed(made.requests)] * 2 if is_reversed else made.requests
    answered = replay(requests, made.recorded_us, tmp_path / "m.db")
    assert comparable(answered, made.not_told) == {model: approximately(entry) for model, entry in made.right.items()}


def approximately(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry whose cost may differ by less than a nano-dollar a call."""
    if entry.get("cost_usd") is None:
        return entry
    return entry | {"cost_usd": pytest.approx(entry["cost_usd"], abs=1e-9 * entry["calls"])}
