"""The names of attributes are distinct, and none is the namespace of another."""

from __future__ import annotations

from otel_measure.conventions import semconv


def test_attribute_names_are_unique_and_no_name_is_the_namespace_of_another() -> None:
    """Every ``ATTR_`` constant is a distinct dotted name, and none continues another."""
    names = [v for k, v in vars(semconv).items() if k.startswith("ATTR_")]
    assert len(set(names)) == len(names)
    assert [(a, b) for a in names for b in names if b.startswith(f"{a}.")] == []
