"""How long and how large what is recorded may be: the same for a call, a body and an event that arrives."""

from __future__ import annotations

from typing import Final

MAX_ID_CHARS: Final = 512
MAX_NAME_CHARS: Final = 1024
MAX_LABEL_CHARS: Final = 256
MAX_TEXT_CHARS: Final = 8192
MAX_GROUPS: Final = 8  # attributes by which an inference is told apart when fairness is measured
MAX_GROUP_CHARS: Final = 64
CURRENCY_CHARS: Final = 3  # ISO 4217
MAX_RECORD_BYTES: Final = 32 * 1024
MAX_COUNT: Final = 10**15
MAX_LATENCY_MS: Final = 1e12
MAX_COST_USD: Final = 1e6
MAX_VALUE: Final = 1e12
MAX_NPS_SCORE: Final = 10
