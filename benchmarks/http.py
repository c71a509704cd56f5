"""P4: one event per POST, committed before the answer, against an endpoint that only decodes and answers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.report import Row

_WRK = "wrk"
BODY = '{"user_id": 123, "event_type": "page_view", "event_name": "home_page", "page_url": "/home"}'
BARE = """
import msgspec
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

class Event(msgspec.Struct):
    user_id: int | str
    event_type: str
    event_name: str
    page_url: str | None = None

decode = msgspec.json.Decoder(Event).decode
encode = msgspec.json.Encoder().encode

async def track(request):
    event = decode(await request.body())
    answer = encode({"status": "success", "data": {"event_id": event.event_name}})
    return Response(answer, 201, media_type="application/json")

app = Starlette(routes=[Route("/api/v1/metrics/users/events/track", track, methods=["POST"])])
"""


def rows(_: int) -> list[Row]:
    """Load both servers with wrk over 32 connections, one after the other."""
    if shutil.which(_WRK) is None:
        sys.exit("P4 needs wrk, and there is none: sudo apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bare_app.py").write_text(BARE)
        script = Path(folder) / "post.lua"
        script.write_text(f"wrk.method='POST'\nwrk.headers['Content-Type']='application/json'\nwrk.body='{BODY}'\n")
        bare = _load(["-m", "uvicorn", "bare_app:app", "--app-dir", folder, "--log-level", "warning"], script, {})
        serve = ["-m", "exporter.cli", "serve", "--store"]
        process = _load([*serve, str(Path(folder) / "process.db")], script, {})
        power = _load([*serve, str(Path(folder) / "power.db")], script, {"OTEL_MEASURE_DURABILITY": "power"})
    what = "POST …/events/track committed before the answer"
    return [
        Row("P4", what, process, bare, 0.5, "/s", "high"),
        Row("P4", f"{what}, durability=power", power, bare, 0.3, "/s", "high"),
    ]


def _load(arguments: list[str], script: Path, env: dict[str, str]) -> float:
    from tests.components import free_port, stop

    port = free_port()
    url = f"http://127.0.0.1:{port}/api/v1/metrics/users/events/track"
    server = subprocess.Popen(
        [sys.executable, *arguments, "--port", str(port)], stdout=subprocess.DEVNULL, env={**os.environ, **env}
    )
    try:
        _wait_port(port)
        _wrk(url, script, 1)
        return _wrk(url, script, 6)
    finally:
        stop(server)


def _wait_port(port: int) -> None:
    import socket
    import time

    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


def _wrk(url: str, script: Path, seconds: int) -> float:
    command = [_WRK, "-t1", "-c32", f"-d{seconds}s", "-s", str(script), url]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in printed:
        raise RuntimeError(printed)
    found = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    if found is None:
        raise RuntimeError(printed)
    return float(found[1])
