"""One process's measuring: settings, store, recorder, telemetry and services wired together, once."""

from __future__ import annotations
