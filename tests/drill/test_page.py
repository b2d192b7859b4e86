"""The page about the drill shows what is written down."""

from __future__ import annotations

import json
import os
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "drill.md"
OUTCOMES = Path(__file__).with_name("outcomes")
BEGIN, END = "<!-- table: written by tests/drill/test_page.py -->\n", "<!-- end -->"


def table() -> str:
    """Write the outcomes as Markdown: a row for each fault, a column for each provider."""
    found = {place.stem: json.loads(place.read_text()) for place in sorted(OUTCOMES.glob("*.json"))}
    faults = list(dict.fromkeys(fault for each in found.values() for fault in each))
    lines = [f"| Fault | {' | '.join(found)} |", f"| --- |{' --- |' * len(found)}"]
    for fault in faults:
        cells = [each.get(fault, "does not apply") for each in found.values()]
        lines.append(f"| {fault} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def test_the_page_shows_all_outcomes():
    """Written by this test with UPDATE_GOLDEN=1."""
    head, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    written, _, tail = rest.partition(END)
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(f"{head}{BEGIN}{table()}{END}{tail}", "utf-8")
        return
    assert written == table(), "run with UPDATE_GOLDEN=1"
