"""Records what real programs send while they call a fake provider; the provider's ledger is the right answer.

    python -m tests.recordings.make [EMITTER …]

Each program gets an environment of its own outside the tree (of `requirements.txt` beside its recording, which is made
from the table when it is not there), so only the first time takes minutes. A recording is replaced as a whole.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.recordings import sink
from tests.recordings.emitters import EMITTERS, Emitter
from tests.recordings.environments import CACHE, command, folder_of
from tests.recordings.neutral import Neutral
from tests.recordings.provider.server import provider

HERE: Final = Path(__file__).parent
_WITHIN_S: Final = 120


def run(emitter: Emitter, provider_url: str, send_to: str) -> str:
    """Run the program of an emitter to its end, and return what it printed.

    Raises:
        RuntimeError: it failed; with its output.
    """
    given = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "VIRTUAL_ENV"))}
    given |= {
        "OTEL_SERVICE_NAME": emitter.name,
        "OTEL_EXPORTER_OTLP_ENDPOINT": send_to,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        # Several requests of each signal, so that their order can be another.
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
        "OTEL_NODE_RESOURCE_DETECTORS": "env,process,serviceinstance",  # not the host
        **emitter.env,
    }
    done = subprocess.run(
        [*command(emitter), provider_url],
        env=given,
        capture_output=True,
        text=True,
        timeout=_WITHIN_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{emitter.name} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def record(emitter: Emitter) -> dict[str, Any]:
    """Make the recording of an emitter anew, and return its ledger."""
    folder = folder_of(emitter)
    folder.mkdir(parents=True, exist_ok=True)
    with provider() as asked, sink.sink() as (url, taken):
        print(run(emitter, asked.url, url), end="")
        time.sleep(0.5)
        models = asked.ledger.models()
    sink.write(folder / "requests.gz", Neutral(CACHE).requests(taken))
    ledger = {
        "emitter": emitter.name,
        "version": emitter.version,
        "recorded_unix_nano": time.time_ns(),
        "models": models,
        "not_told": dict(emitter.not_told),
    }
    (folder / "ledger.json").write_text(json.dumps(ledger, indent=1) + "\n", encoding="utf-8")
    return ledger


def main(names: Sequence[str]) -> int:
    """Record the emitters of these names, or all; return 1 when one failed."""
    failed = 0
    for emitter in EMITTERS:
        if not names or emitter.name in names:
            print(f"== {emitter.name} {emitter.version}")
            try:
                print(json.dumps(record(emitter)["models"]))
            except (RuntimeError, subprocess.SubprocessError) as error:
                print(error)
                failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
