"""A sum that reaches what a column holds stays there; it never makes a store refuse later records."""

from __future__ import annotations
