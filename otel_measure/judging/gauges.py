"""Gauges that no process owns: computed from reports when `/metrics` is asked, so every process gives the same."""

from __future__ import annotations
