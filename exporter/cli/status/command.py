"""The command `otel-measure status`."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click

from exporter.cli.options import environment_option, json_option, load_settings, store_option
from otel_measure.store.places import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from rich.console import Console

    from exporter.cli.status.glance import Glance

EVERY_S: Final = 5.0
_SHARE: Final = 20  # a look takes at most a twentieth of the time of a core


@click.command(
    short_help="Show how everything is, live.",
    epilog="""\b
Examples:
  otel-measure status
  otel-measure status --once --store /var/lib/otel-measure/measure.db
  otel-measure status --json | jq -r .sentence
""",
)
@click.option("--once", is_flag=True, help="Print it once; without a terminal that is so anyway.")
@environment_option
@store_option
@json_option
def status(once: bool, environment: str | None, store: str | None, as_json: bool) -> None:
    """Show the worst of everything in a sentence, what fires, machine, services, models, users and experiments.

    It reads the store, which others use meanwhile, and shows it anew every 5 s until Ctrl-C. JSON is what GET
    /api/v1/metrics/status answers: the sentence and what fires.
    """
    from exporter.cli.reading import reading
    from exporter.cli.status.glance import glance
    from exporter.cli.status.screen import screen
    from exporter.cli.views.terminal import console, put

    settings = load_settings({"store": store})
    with reading(settings) as (runtime, opened):
        if as_json:
            click.echo(_json(glance(runtime, opened, environment)))
            return
        out = console()
        is_live = out.is_terminal and not out.is_dumb_terminal and not once
        if is_live:
            runtime.sampler.start()  # of CPU one reading says little
            _show_live(out, lambda: glance(runtime, opened, environment), shown(str(settings.store)))
        else:
            put(screen(glance(runtime, opened, environment), shown(str(settings.store)), None))


def _json(told: Glance) -> str:
    import msgspec

    from exporter.cli.views.plain import plain_json

    return plain_json(msgspec.json.encode(told.status).decode())


@contextmanager
def _told_by_ctrl_c() -> Iterator[threading.Event]:
    """Return an event that the first Ctrl-C sets; from the second on each does what it did before.

    `KeyboardInterrupt` may be raised anywhere, so also where whoever draws or reads swallows it.
    """
    told = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def tell(_number: int, _frame: FrameType | None) -> None:
        told.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, tell)
    try:
        yield told
    finally:
        signal.signal(signal.SIGINT, before)


def _show_live(out: Console, look: Callable[[], Glance], store: str, every_s: float = EVERY_S) -> None:
    """Show it anew again and again until Ctrl-C; what was shown last stays on the terminal."""
    from rich.live import Live

    from exporter.cli.status.screen import screen
    from exporter.cli.views.terminal import drawn, show
    from otel_measure.errors import StoreUnavailable

    told, fault, wait_s = look(), "", 0.0
    with _told_by_ctrl_c() as stopped, Live(console=out, screen=True, auto_refresh=False) as live:
        while not stopped.wait(wait_s):
            document = screen(told, store, out.height)
            if fault:
                document = replace(document, sentence=fault, look="bad")
            live.update(drawn(document, out.width, folds_code=True), refresh=True)
            if stopped.wait(every_s):
                break
            began = time.process_time()
            try:
                told, fault = look(), ""
            except StoreUnavailable as error:  # it may be back at the next look
                fault = f"This is what was known at {told.now:%H:%M:%S}: {error}"
            wait_s = (time.process_time() - began) * _SHARE
    show(out, screen(told, store, out.height))
