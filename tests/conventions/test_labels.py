"""Label text: canonical, safe, and named as the official exporter names it."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from opentelemetry.exporter.prometheus._mapping import sanitize_attribute
from prometheus_client.parser import text_string_to_metric_families

from otel_measure.conventions.labels import RESERVED, escaped, label_name, merge, parse

_keys = st.one_of(
    st.sampled_from(["a.b", "a_b", "a..b", "le", "exported.le", "1a", "__name__", "job", "é", ""]), st.text(max_size=8)
)
_values = st.one_of(st.sampled_from(["", "\\", '"', "\n", "\\n", 'x",y="z', "\ud800", "{}", "\r"]), st.text(max_size=8))
_attributes = st.lists(st.tuples(_keys, _values), max_size=6)


def scraped(labels: str) -> dict[str, str]:
    """Return the labels as a Prometheus client reads them."""
    [family] = text_string_to_metric_families(f"x{{{labels}}} 1\n" if labels else "x 1\n")
    [sample] = family.samples
    return dict(sample.labels)


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ([], ""),
        ([("gen_ai.request.model", 'gpt"4'), ("a", "x")], r'a="x",gen_ai_request_model="gpt\"4"'),
        ([("a", 'back\\slash "quoted"\nline')], r'a="back\\slash \"quoted\"\nline"'),
        ([("1st", "x")], '_st="x"'),
        ([("a--b..c", "x")], 'a_b_c="x"'),
        ([("__name__", "x")], '_name_="x"'),
        ([("a_b", "2"), ("a.b", "1")], 'a_b="1;2"'),
        ([("a.b", "2"), ("a_b", "")], 'a_b="2"'),
        ([("a", "1"), ("a", "2")], 'a="2"'),
        ([("a", "1"), ("a", "")], ""),
        ([("le", "1"), ("job", "2"), ("instance", "3")], 'exported_instance="3",exported_job="2",exported_le="1"'),
        ([("exported.quantile", "1"), ("quantile", "2")], 'exported_quantile="1;2"'),
        ([("a", ""), ("", "x")], ""),
        ([("a", "caf\u00e9 \ud800")], 'a="café ?"'),
    ],
)
def test_escaped(attributes: list[tuple[str, str]], text: str) -> None:
    """Names are sanitised, collisions joined in key order, reserved names prefixed, empty values left out."""
    assert escaped(attributes) == text


@given(_attributes)
def test_any_client_reads_back_what_was_written(attributes: list[tuple[str, str]]) -> None:
    """Whatever the attributes hold, the text is valid and a Prometheus client reads the values of `parse()`."""
    assert scraped(escaped(attributes)) == parse(escaped(attributes))


@given(_attributes)
def test_no_label_has_a_meaning_of_its_own(attributes: list[tuple[str, str]]) -> None:
    """No attribute becomes a label that the format, a server or another system would act on, and none is empty."""
    labels = parse(escaped(attributes))
    assert not RESERVED & labels.keys()
    assert not [name for name, value in labels.items() if name.startswith("__") or not value]


@given(st.dictionaries(_keys, _values, max_size=6))
def test_order_does_not_matter(attributes: dict[str, str]) -> None:
    """Equal attributes give equal text in whatever order they come."""
    assert escaped(attributes.items()) == escaped(reversed(attributes.items()))


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True), st.text(min_size=1, max_size=8)))
def test_parse_is_the_way_back(labels: dict[str, str]) -> None:
    """Labels whose names need no change come back as they went in."""
    plain = {name: value.encode("utf-8", "replace").decode() for name, value in labels.items() if name not in RESERVED}
    assert parse(escaped(plain.items())) == plain


@given(_keys)
def test_names_are_those_of_the_official_exporter(key: str) -> None:
    """Every name of ASCII is the official exporter's, but for the prefix of a reserved one."""
    assume(key.isascii())
    assert label_name(key).removeprefix("exported_") == sanitize_attribute(key).removeprefix("exported_")


_letters = st.characters(min_codepoint=0x80)


@given(st.text(max_size=3), _letters, _letters, st.text(max_size=3))
def test_names_of_other_scripts_stay_apart(before: str, letter: str, instead: str, after: str) -> None:
    """Two names that differ in a character beyond ASCII are two labels, which begin with no digit and no `__`."""
    assume(letter != instead)
    one, other = before + letter + after, before + instead + after
    assert label_name(one) != label_name(other)
    assert not label_name(one).startswith("__")
    assert not label_name(one)[:1].isdigit()


@pytest.mark.parametrize(
    ("key", "name"), [("größe", "gr_f6_df_e"), ("温度", "_6e29_5ea6"), ("²", "_b2"), ("_é", "_e9"), ("é_", "_e9_")]
)
def test_a_name_of_another_script(key: str, name: str) -> None:
    """It is written as its code points."""
    assert label_name(key) == name


@pytest.mark.parametrize(
    ("labels", "extra", "text"),
    [
        ("", [], ""),
        ('b="2"', [], 'b="2"'),
        ("", [("a", "1")], 'a="1"'),
        ('b="2"', [("c", "3"), ("a", "1")], 'a="1",b="2",c="3"'),
        (r'b="\"2\\\n"', [("b", "3"), ("a", "\n")], r'a="\n",b="3"'),
        (r'a="\"2\\\n"', [("b", "3")], r'a="\"2\\\n",b="3"'),
        ('b="2"', [("b", "")], 'b="2"'),
        ('job="x"', [("job", "y")], 'exported_job="y",job="x"'),
    ],
)
def test_merge(labels: str, extra: list[tuple[str, str]], text: str) -> None:
    """Further attributes come in at their place and win; an empty one changes nothing."""
    assert merge(labels, extra) == text


@pytest.mark.parametrize("text", ['a="1",', 'a="1"b="2"', "a=1", 'a="\\x"', 'a="1', '1a="1"', "a", '{a="1"}', "\n"])
def test_parse_refuses_what_is_not_label_text(text: str) -> None:
    """Text that `escaped()` would never return is refused, with the text in the message."""
    with pytest.raises(ValueError, match='name="value" pairs') as refusal:
        parse(text)
    assert repr(text) in str(refusal.value)
