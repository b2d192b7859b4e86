"""Keeps what came of each fault, and compares it with what was written down."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

OUTCOMES = Path(__file__).with_name("outcomes")


@pytest.fixture
def outcome():
    """Check one outcome against the provider's file; with UPDATE_GOLDEN=1 write it there."""

    def check(provider: str, fault: str, found: str) -> None:
        place = OUTCOMES / f"{provider}.json"
        known = json.loads(place.read_text("utf-8")) if place.exists() else {}
        if os.environ.get("UPDATE_GOLDEN"):
            place.write_text(json.dumps({**known, fault: found}, indent=1) + "\n", "utf-8")
            return
        assert known.get(fault) == found, "if that is right, run with UPDATE_GOLDEN=1"

    return check
