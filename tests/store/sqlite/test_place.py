"""Where a store lies: file systems, folders, links and who else may read it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_measure.errors import StoreUnavailable
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.place import (
    local_mounts,
    others_who_may_read,
    refuse_network_file_system,
    refuse_planted_link,
)

MOUNTS = [("/", "ext4"), ("/data", "nfs4"), ("/data/local", "xfs"), ("/mnt/ssh", "fuse.sshfs"), ("/srv", "CIFS")]


@pytest.mark.parametrize(
    ("path", "kind"), [("/data/x.db", "nfs4"), ("/mnt/ssh/a/x.db", "fuse.sshfs"), ("/srv/x", "CIFS")]
)
def test_a_network_file_system_is_refused(path: str, kind: str) -> None:
    """With the reason: SQLite's locks do not hold there."""
    with pytest.raises(StoreUnavailable, match="network file system") as raised:
        refuse_network_file_system(Path(path), MOUNTS)
    assert raised.value.cause_name == "network_file_system"
    assert f"({kind})" in raised.value.what


@pytest.mark.parametrize("path", ["/x.db", "/data/local/x.db", "/database/x.db", "/srv2"])
def test_a_local_file_system_is_taken(path: str) -> None:
    """The innermost mount counts, and a name that only begins alike is another place."""
    refuse_network_file_system(Path(path), MOUNTS)
    refuse_network_file_system(Path(path), [])


def test_a_link_leads_to_where_the_file_lies(tmp_path: Path) -> None:
    """A local name of a remote folder is remote."""
    (tmp_path / "remote").mkdir()
    (tmp_path / "local").symlink_to(tmp_path / "remote")
    with pytest.raises(StoreUnavailable):
        refuse_network_file_system(tmp_path / "local" / "x.db", [("/", "ext4"), (str(tmp_path / "remote"), "nfs")])


def test_the_mounts_of_this_machine() -> None:
    """Pairs of mount point and type."""
    assert all(place.startswith("/") and isinstance(kind, str) for place, kind in local_mounts())


# ---------------------------------------------------------------- who else may reach it


@pytest.fixture(params=[0o000, 0o022, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Set a umask for the length of a test."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    """Return the permission bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_what_a_store_makes_is_for_its_owner_alone(tmp_path: Path, umask: int) -> None:
    """File, log and shared memory have 0600, every folder that is made 0700, whatever the umask."""
    path = tmp_path / "a" / "b" / "measure.db"
    store = SqliteStore(str(path))
    try:
        modes = {found.name: mode(found) for found in tmp_path.rglob("*")}
    finally:
        store.close()
    assert modes == {
        "a": 0o700,
        "b": 0o700,
        "measure.db": 0o600,
        "measure.db-wal": 0o600,
        "measure.db-shm": 0o600,
    }


def test_what_is_there_keeps_its_mode(tmp_path: Path) -> None:
    """A folder and a file that somebody else made for others to read stay so."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o750)
    path = folder / "measure.db"
    path.touch()
    path.chmod(0o640)
    SqliteStore(str(path)).close()
    assert (mode(folder), mode(path)) == (0o750, 0o640)


@pytest.mark.parametrize(
    ("of_folder", "of_file", "expected"),
    [
        (0o755, 0o600, ()),
        (0o700, 0o644, ()),
        (0o750, 0o640, ("group",)),
        (0o711, 0o604, ("everybody",)),
        (0o755, 0o644, ("group", "everybody")),
    ],
)
def test_who_else_may_read_it(of_folder: int, of_file: int, expected: tuple[str, ...], tmp_path: Path) -> None:
    """Others may read a file when its mode and that of every folder above it let them."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "x").touch()
    (folder / "x").chmod(of_file)
    folder.chmod(of_folder)
    above = [parent.stat().st_mode for parent in folder.parents]
    let_in = {
        who: all(found & bit for found in above) for who, bit in (("group", stat.S_IXGRP), ("everybody", stat.S_IXOTH))
    }
    assert others_who_may_read(folder / "x") == tuple(who for who in expected if let_in[who])


@pytest.mark.parametrize("linked", ["file", "folder", "folder that a link leads to"])
def test_a_link_in_a_folder_that_everybody_may_write_to_is_refused(linked: str, tmp_path: Path) -> None:
    """Whoever planted it would choose the file; nothing is made where it leads to, and the message names the link."""
    everybodys, mine = tmp_path / "everybodys", tmp_path / "mine"
    mine.mkdir()
    everybodys.mkdir()
    everybodys.chmod(0o1777)
    link = everybodys / "link"
    link.symlink_to(mine / "target" if linked == "file" else mine)
    (tmp_path / "honest").symlink_to("everybodys")
    path = {
        "file": link,
        "folder": link / "measure.db",
        "folder that a link leads to": tmp_path / "honest" / "link" / "measure.db",
    }[linked]
    with pytest.raises(StoreUnavailable) as raised:
        SqliteStore(str(path))
    assert (raised.value.cause_name, raised.value.what) == (
        "link",
        f"{path} leads through {link}, a symbolic link in a folder that everybody may write to",
    )
    assert list(mine.iterdir()) == []


def test_other_links_are_followed(tmp_path: Path) -> None:
    """A link in a folder of one's own is one's own, and the file itself may lie where everybody may write."""
    everybodys = tmp_path / "everybodys"
    everybodys.mkdir()
    everybodys.chmod(0o1777)
    (tmp_path / "link").symlink_to(everybodys)
    path = tmp_path / "link" / ".." / "link" / "measure.db"
    refuse_planted_link(path)
    SqliteStore(str(path)).close()
    assert (everybodys / "measure.db").is_file()
