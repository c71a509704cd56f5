"""A program that records and answers over HTTP, as an application that has our endpoints: `python -m … STORE`.

    port         says where
    record N     records N calls of a model
    ask          asks for its latency in this process

After each line of its input it prints one of JSON.
"""

from __future__ import annotations

import json
import socket
import sys
import threading

import uvicorn

from exporter import create_app
from otel_measure import configure, get_ai_model_service, shutdown

MODEL = ("m", "1")


def told(line: str, port: int) -> object:
    """Do what a line says, and return what came of it."""
    ai = get_ai_model_service()
    match line.split():
        case ["port"]:
            return port
        case ["record", n]:
            for _ in range(int(n)):
                ai.record_inference(*MODEL, 5.0)
            return int(n)
        case _:
            return {"n": ai.get_latency_metrics(*MODEL).sample_count, "pending": ai.pending}


def main() -> None:
    """Listen, then do what standard input says."""
    configure(store=sys.argv[1])
    sock = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(), log_level="warning"))
    threading.Thread(target=server.run, args=([sock],), daemon=True).start()
    for line in sys.stdin:
        print(json.dumps(told(line, sock.getsockname()[1])), flush=True)
    shutdown(1.0)


if __name__ == "__main__":
    main()
