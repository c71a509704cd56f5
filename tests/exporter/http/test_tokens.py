from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from exporter.http.auth import OPEN, Authenticator
from exporter.http.envelope import HttpError
from exporter.http.tokens import Token, TokenFile, digest_of, new_token, parsed, read_tokens
from otel_measure.config import Settings
from otel_measure.errors import ConfigurationError

HASH = digest_of(b"secret").hex()
HOW = "`otel-measure token new` writes one"


def written(path: Path, text: str) -> Path:
    """Return the path of a file for its owner alone, with a text."""
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_a_new_token_is_a_line_with_its_hash(tmp_path: Path) -> None:
    """The file is made for its owner alone; it has name, scopes and hash of each token, and never the token."""
    path = tmp_path / "tokens"
    first, second = new_token(path, "shop", ["write"]), new_token(path, "ops", ["admin", "read", "write"])
    assert (path.stat().st_mode & 0o777, first[:4], len(first), first != second) == (0o600, "otm_", 47, True)
    assert path.read_text().splitlines()[1:] == [
        f"shop write sha256:{digest_of(first.encode()).hex()}",
        f"ops read,write,admin sha256:{digest_of(second.encode()).hex()}",
    ]
    assert read_tokens(path) == (
        Token("shop", frozenset({"write"}), digest_of(first.encode())),
        Token("ops", frozenset({"read", "write", "admin"}), digest_of(second.encode())),
    )


def test_a_line_without_its_end_is_not_written_into(tmp_path: Path) -> None:
    """A token comes to stand in a line of its own, whatever an editor left."""
    path = written(tmp_path / "tokens", f"old read sha256:{HASH}")
    new_token(path, "new", ["read"])
    assert [token.name for token in read_tokens(path)] == ["old", "new"]


def test_what_a_token_may_be_named(tmp_path: Path) -> None:
    """A name stands once in a file, and has no blank; a token without a scope is none."""
    path = tmp_path / "tokens"
    new_token(path, "shop", ["write"])
    with pytest.raises(ConfigurationError, match="has a token named shop; to replace it, make one of another name"):
        new_token(path, "shop", ["write"])
    for name, scopes in (("a b", ["read"]), ("", ["read"]), ("x" * 65, ["read"]), ("a", []), ("a", ["all"])):
        with pytest.raises(ConfigurationError, match="a token needs a name of letters, digits"):
            new_token(path, name, scopes)
    assert len(read_tokens(path)) == 1


def test_empty_lines_and_comments_say_nothing() -> None:
    """A file is for people too."""
    text = f"# ours\n\n  a read sha256:{HASH}  # of the dashboard\n"
    assert parsed(Path("f"), text) == (Token("a", frozenset({"read"}), digest_of(b"secret")),)


@pytest.mark.parametrize(
    "line",
    [
        "secret", f"a read {HASH}", f"a all sha256:{HASH}", f"a read sha256:{HASH[:-1]}",
        f"a read sha256:{HASH} more", f"a,b read sha256:{HASH}", f"a read, write sha256:{HASH}",
    ],
)  # fmt: skip
def test_a_line_that_is_no_token(line: str) -> None:
    """It is named by its number, and not shown: it may be a secret."""
    with pytest.raises(ConfigurationError) as refused:
        parsed(Path("f"), f"# one\n{line}\n")
    assert str(refused.value) == (
        f"line 2 of f is no token: NAME SCOPES sha256:HASH, with SCOPES of read,write,admin; {HOW}"
    )


def test_a_file_that_cannot_be_trusted(tmp_path: Path) -> None:
    """One that others may write to is refused, as is what is none, and what is not there."""
    path = written(tmp_path / "tokens", f"a read sha256:{HASH}\n")
    path.chmod(0o620)
    with pytest.raises(ConfigurationError, match=r"others may write to .*, and let anybody in: chmod go-w"):
        read_tokens(path)
    with pytest.raises(ConfigurationError, match="is no file of tokens"):
        read_tokens(tmp_path)
    with pytest.raises(ConfigurationError, match="cannot be read: No such file or directory; `otel-measure token new`"):
        read_tokens(tmp_path / "absent")
    written(path, "".join(f"a{n} read sha256:{HASH}\n" for n in range(1001)))
    with pytest.raises(ConfigurationError, match="has 1001 tokens, and may have 1000"):
        read_tokens(path)


def test_a_file_is_looked_at_once_a_second(tmp_path: Path) -> None:
    """A change is seen then, also one that leaves size and time as they were; a request costs no look at the disk."""
    now_s = 0.0
    path = written(tmp_path / "tokens", f"a read sha256:{HASH}\n")
    file = TokenFile(path, lambda: now_s)
    written(path.with_name("b"), f"b read sha256:{HASH}\n")
    os.utime(path.with_name("b"), ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    path.with_name("b").rename(path)
    now_s = 0.9
    assert [token.name for token in file.tokens()] == ["a"]
    now_s = 1.0
    assert [token.name for token in file.tokens()] == ["b"]


def test_what_cannot_be_read_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The tokens of before stay valid, and the log says so once for each change."""
    now_s = 0.0
    path = written(tmp_path / "tokens", f"a read sha256:{HASH}\n")
    file = TokenFile(path, lambda: now_s)
    names = []
    for text in ("broken", None, f"b read sha256:{HASH}\n"):
        path.unlink() if text is None else written(path, text)
        for _ in range(2):
            now_s += 1
            names.append([token.name for token in file.tokens()])
    assert names == [["a"]] * 4 + [["b"]] * 2
    assert [record.getMessage().partition(":")[0] for record in caplog.records if record.levelno == logging.ERROR] == [
        "the tokens stay as they were",
        "the tokens stay as they were",
    ]


def test_scopes_of_a_token_in_a_file(tmp_path: Path) -> None:
    """It may do what its line says, beside what anybody may; with an empty file nobody may do anything."""
    path = written(tmp_path / "tokens", f"a read,admin sha256:{HASH}\n")

    def scopes(token: bytes) -> object:
        headers = [(b"host", b"localhost"), (b"authorization", b"Bearer " + token)]
        return by.scopes({"type": "http", "client": ("127.0.0.1", 1), "headers": headers})

    by = Authenticator.of(Settings(tokens_file=str(path), token="of the settings"))
    assert scopes(b"secret") == OPEN | {"read", "admin"}
    assert scopes(b"of the settings") == OPEN | {"read", "write", "admin"}
    by = Authenticator.of(Settings(tokens_file=str(written(path, ""))))
    for token in (b"secret", b""):
        with pytest.raises(HttpError) as refused:
            scopes(token)
        assert refused.value.status == 401
