"""The commands `otel-measure backup` and `otel-measure restore`: a copy of a store that is in use, and the way back."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from exporter.cli.opening import opened
from exporter.cli.options import existing_store, json_option, load_settings, store_option
from otel_measure.errors import ConfigurationError
from otel_measure.store.types.backups import Progress

_NAME: Final = "otel-measure-%Y%m%dT%H%M%SZ.db"
_IS_OURS: Final = re.compile(r"otel-measure-\d{8}T\d{6}Z\.db")


@click.command(short_help="Copy the store while it is in use.")
@click.argument("target", type=click.Path(path_type=Path), metavar="FILE|DIR")
@click.option(
    "--keep", type=click.IntRange(min=1), metavar="N", help="Of the backups in DIR keep the last N.  [default: all]"
)
@store_option
@json_option
def backup(target: Path, keep: int | None, store: str | None, as_json: bool) -> None:
    """Copy the store as of now to FILE, or into DIR under the time as its name, while others use the store.

    The copy is read again before it has its name: it is whole, or there is none. Its SHA-256 lies beside it. It has
    everybody who is erased later; `restore` erases them again.
    """
    settings = load_settings({"store": store})
    path = existing_store(settings)
    into_folder = target.is_dir()
    if keep is not None and not into_folder:
        raise ConfigurationError(f"--keep is for a folder, which {target} is not")
    file = target / datetime.now(UTC).strftime(_NAME) if into_folder else target
    with opened(settings) as copied, shown() as progress:
        made = copied.backup(file, progress)
    removed = _remove_older(target, keep) if keep is not None else []
    if as_json:
        told = {"backup": str(made.path), "bytes": made.size_bytes, "sha256": made.sha256, "removed": removed}
        click.echo(json.dumps(told))
        return
    click.echo(f"{made.path} has {path} as of now, {made.size_bytes / 2**20:.1f} MiB, read again and whole")
    for name in removed:
        click.echo(f"removed {name}")


def _remove_older(folder: Path, keep: int) -> list[str]:
    """Remove all but the last backups of a folder, with what lies beside them; return their names."""
    names = sorted(name for name in os.listdir(folder) if _IS_OURS.fullmatch(name))
    older = names[:-keep]
    for name in older:
        for file in (folder / name, folder / f"{name}.sha256"):
            file.unlink(missing_ok=True)
    return older


@click.command(short_help="Put a backup in the place of the store.")
@click.argument("source", type=click.Path(path_type=Path), metavar="[FILE]", required=False)
@store_option
@json_option
def restore(source: Path | None, store: str | None, as_json: bool) -> None:
    """Put the backup FILE in the place of the store, all or nothing; stop every process that uses the store before.

    Whoever was erased since the backup was taken is erased again, as the file beside the store says.

    Without FILE it makes a store of a database that ClickHouse has restored from a backup of its own. Whoever was
    erased since is in it.
    """
    from otel_measure.store.engines import restore_store

    settings = load_settings({"store": store})
    with shown() as progress:
        restored = restore_store(settings, source, time.time_ns() // 1000, progress)
    if as_json:
        told = {"store": str(restored.store), "bytes": restored.size_bytes, "erased": restored.erased}
        click.echo(json.dumps(told))
        return
    if source is None:
        click.echo(f"{restored.store} is a store again, {restored.size_bytes / 2**20:.1f} MiB")
        click.echo("whoever was erased since the backup was taken is in it: erase them again")
        return
    erased = f"; {restored.erased} erased since are erased again" if restored.erased else ""
    click.echo(f"{restored.store} is what {source} was{erased}")


@contextmanager
def shown() -> Iterator[Progress]:
    """Yield what shows how far something is: a bar on a terminal, nothing elsewhere."""
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True)
    columns = (
        progress.TextColumn("{task.description:>14}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bars:
        task = bars.add_task("", total=None)
        yield lambda what, done, total: bars.update(task, description=what, completed=done, total=total)
