"""What of Modal's protocol the emulator stands on."""

from __future__ import annotations

from collections.abc import Mapping

RPCS: tuple[str, ...] = ()
FIELDS: Mapping[str, str] = {}
