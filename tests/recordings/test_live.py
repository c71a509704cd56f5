"""Two of the programs that were recorded, run against a running exporter as a new user would."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.components import free_port, missing, requires_binary
from tests.e2e.talking import Exporter, eventually, exporter
from tests.recordings.emitters import EMITTERS, LIVE, Emitter
from tests.recordings.environments import is_installed
from tests.recordings.make import run
from tests.recordings.provider.server import provider
from tests.recordings.replay import comparable, entries
from tests.recordings.test_recordings import approximately

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
RUN = [emitter for emitter in EMITTERS if emitter.name in LIVE]


@pytest.mark.parametrize("emitter", RUN, ids=lambda emitter: emitter.name)
def test_a_running_exporter_shows_what_a_program_did(emitter: Emitter, tmp_path: Path) -> None:
    """By the address alone: calls, errors, tokens, cents and users are those that the provider knows."""
    if not emitter.program.endswith(".py"):
        requires_binary("node", "nodejs")
    if not is_installed(emitter):
        missing(f"needs what {emitter.name} is made of: .ci/recordings (installs it with pip and npm)")
    store = tmp_path / "central.db"
    with provider() as asked, exporter(free_port(), store, tmp_path / "exporter.log") as central:
        run(emitter, asked.url, central.url)
        right = comparable(asked.ledger.models(), emitter.not_told)
        wanted = {model: approximately(entry) for model, entry in right.items()}
        answer = eventually(lambda: shown(central, store, emitter), lambda shown: shown == wanted, 60)
        assert answer == wanted


def shown(central: Exporter, store: Path, emitter: Emitter) -> dict[str, dict[str, object]]:
    """Return what the exporter says of each model, in the form of the ledger."""
    return comparable(entries(central.get("/ai/models")["models"], store), emitter.not_told)
