"""What others see of the exporter, as text: its routes, its OpenAPI description, and the help of its commands.

`python -m tests.exporter.surface` writes the golden files anew. What changed in them is what changed for users.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from click.testing import CliRunner

from exporter.app import ROUTES
from exporter.cli.__main__ import main
from exporter.http.openapi import describe

FOLDER: Final = Path(__file__).parent / "golden"


def routes() -> Iterator[str]:
    """Yield a line for each route: what it is called by, the scope it needs, and what it takes and gives."""
    for route in ROUTES:
        takes = f"; takes {route.max_bytes} bytes of {' or '.join(route.accepts)}" if route.max_bytes else ""
        yield f"{route.method} {route.path} needs {route.access}{takes}; answers {route.status}"


def openapi() -> Iterator[str]:
    """Yield the OpenAPI description, but for prose, in lines: of operations each part, of schemas each property."""
    description = describe(ROUTES)
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            for name, part in operation.items():
                for item in part if name == "parameters" else [part]:
                    yield f"{method.upper()} {path} {name} {_text(item)}"
    for name, schema in description["components"]["schemas"].items():
        properties = schema.get("properties", {})
        yield f"{name} {_text({key: part for key, part in schema.items() if key != 'properties'})}"
        yield from (f"{name}.{field} {_text(part)}" for field, part in properties.items())
    yield f"securitySchemes {_text(description['components']['securitySchemes'])}"


def _text(part: Any) -> str:
    return json.dumps(_without_prose(part), ensure_ascii=False)


def _without_prose(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_prose(item) for item in node]
    if not isinstance(node, dict):
        return node
    # A property may be called "title"; then its value is a schema.
    prose = {name for name in ("description", "title") if isinstance(node.get(name), str)}
    return {name: _without_prose(value) for name, value in node.items() if name not in prose}


def command_help() -> Iterator[str]:
    """Yield the help of the group and of each command."""
    for command in ([], *([name] for name in main.commands)):
        yield from CliRunner().invoke(main, [*command, "--help"], prog_name="otel-measure").output.splitlines()


GOLDEN: Final[dict[str, Callable[[], Iterator[str]]]] = {
    "routes.txt": routes,
    "openapi.txt": openapi,
    "help.txt": command_help,
}

if __name__ == "__main__":
    for _name, _lines in GOLDEN.items():
        (FOLDER / _name).write_text("".join(f"{line}\n" for line in _lines()), encoding="utf-8")
