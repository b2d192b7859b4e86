"""Lengths and moments of time, as people write and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from gpuhub.errors import SpecError

__all__ = ["clock_time", "date_time", "read_duration"]

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def read_duration(text: str) -> float:
    """Seconds of ``90``, ``90s``, ``10m``, ``1.5h`` or ``2d``.

    Raises:
        SpecError: It is none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip())
    if not match:
        raise SpecError(f"{text!r} is no length of time", next_step="write it like 90s, 10m or 2h")
    return float(match[1]) * _UNITS[match[2]]


def clock_time(epoch: float) -> str:
    """The time of day here, of seconds since 1970."""
    return f"{datetime.fromtimestamp(epoch, UTC).astimezone():%H:%M:%S}"


def date_time(epoch: float | None) -> str:
    """Date and time here; empty when not known."""
    if epoch is None:
        return ""
    return f"{datetime.fromtimestamp(epoch, UTC).astimezone():%Y-%m-%d %H:%M:%S}"
