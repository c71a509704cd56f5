r"""Label text: the attributes of a series as Prometheus writes them, between the braces, in one canonical form.

The text is the identity of a series in the store and goes into the exposition as it is, so equal attributes must give
equal text: sorted by label name, `a="x",gen_ai_request_model="gpt\"4"`. Names follow the OpenTelemetry to Prometheus
specification the way `opentelemetry-exporter-prometheus` does it, so that rules written for one hold for the other:

- a leading digit and every run of other characters than `a-zA-Z0-9` becomes one `_` (hence no name begins with `__`);
  where the official exporter lets names of other scripts become one, a character beyond ASCII is written as its code
  point (`größe` → `gr_f6_df_e`), so that `温度` and `湿度` stay two;
- attributes whose names become the same (`a.b`, `a_b`) share one label, their values joined by `;` in the order of
  the original keys;
- a name that a Prometheus server or the format gives a meaning of its own (`le`, `quantile`, `job`, `instance`) gets
  the prefix `exported_`, as the server itself does it on a conflict;
- an attribute that is empty is left out, because to Prometheus an empty label is no label.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

RESERVED: Final = frozenset({"le", "quantile", "job", "instance"})
EXPORTED: Final = "exported_"
"""Before the name of what is said twice: of a reserved name, or by a point and by what sends it."""
_SEPARATOR: Final = ";"

_NOT_IN_A_NAME: Final = re.compile(r"[^a-zA-Z0-9]+")
_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_LABEL: Final = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,(?=[a-zA-Z_])|$)')
_ESCAPE: Final = re.compile(r"\\(.)")


def escaped(attributes: Iterable[tuple[str, str]]) -> str:
    r"""Return the label text of some attributes, without braces; "" when there is nothing to say.

    Args:
        attributes: pairs of key and value in any order; of a key given twice the last value counts.

    Returns:
        Labels sorted by name, values escaped, e.g. `a="x",gen_ai_request_model="gpt\"4"`.
    """
    values: dict[str, str] = {}
    for key, value in sorted(dict(attributes).items()):
        name = label_name(key)
        if value and name:
            known = values.get(name)
            values[name] = value if known is None else known + _SEPARATOR + value
    return _text(values)


def merge(labels: str, extra: Iterable[tuple[str, str]]) -> str:
    """Return label text with further attributes in it; where both have a label, the value of `extra` stands.

    Args:
        labels: as `escaped()` returns it.
        extra: pairs of key and value, treated as `escaped()` does.

    Raises:
        ValueError: `labels` is not label text.
    """
    added = escaped(extra)
    if not labels or not added:
        return labels or added
    return _text({**parse(labels), **parse(added)})


def parse(labels: str) -> dict[str, str]:
    """Return name and value of every label: the way back from `escaped()`.

    Raises:
        ValueError: `labels` is not label text.
    """
    values: dict[str, str] = {}
    at = 0
    while at < len(labels):
        label = _LABEL.match(labels, at)
        if label is None:
            raise ValueError(f'labels must be name="value" pairs joined by commas, not {labels!r} (at {at})')
        values[label[1]] = _ESCAPE.sub(_unescaped, label[2])
        at = label.end()
    return values


def spelt(name: str) -> str:
    """Return a name with the code points of what is beyond ASCII in it: its characters become nothing elsewhere."""
    if name.isascii():
        return name
    spelt_out = _BEYOND_ASCII.sub(lambda char: f"_{ord(char[0]):x}_", name)
    return spelt_out if name[-1].isascii() else spelt_out[:-1]


@lru_cache(maxsize=4096)
def label_name(key: str) -> str:
    """Return the label name of an attribute key; "" for the empty key, which OpenTelemetry does not allow."""
    key = spelt(key)
    if key[:1].isdigit():
        key = "_" + key[1:]
    name = _NOT_IN_A_NAME.sub("_", key)
    return EXPORTED + name if name in RESERVED else name


def _text(values: Mapping[str, str]) -> str:
    return ",".join([f'{name}="{_escaped_value(value)}"' for name, value in sorted(values.items())])


def _escaped_value(value: str) -> str:
    if not value.isascii():
        # Half a surrogate pair is text to Python and to nobody else: not to SQLite, not to a scrape.
        value = value.encode("utf-8", "replace").decode("utf-8")
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _unescaped(escape: re.Match[str]) -> str:
    return "\n" if escape[1] == "n" else escape[1]
