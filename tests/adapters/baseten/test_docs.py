"""The page about Baseten says what the code does."""

from __future__ import annotations

import os
from pathlib import Path

from gpuhub.adapter import Feature
from gpuhub_baseten.capabilities import CAPABILITIES
from gpuhub_baseten.gpus import CARDS
from gpuhub_baseten.info import INFO
from gpuhub_baseten.options import Options

PAGE = Path(__file__).parents[3] / "docs" / "providers" / "baseten.md"
BEGIN = "<!-- capabilities: written by tests/adapters/baseten/test_docs.py -->\n"
END = "<!-- end -->"


def table() -> str:
    """Write the capabilities as Markdown."""
    lines = ["| Feature | Support | How, or why not |", "| --- | --- | --- |"]
    for feature in Feature:
        support = CAPABILITIES[feature]
        lines.append(f"| `{feature.value}` | {support.level.value} | {support.how} |")
    return "\n".join(lines) + "\n"


def test_the_table_of_capabilities_is_the_codes():
    """Written by this test with UPDATE_GOLDEN=1."""
    text = PAGE.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    written, _, tail = rest.partition(END)
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(f"{head}{BEGIN}{table()}{END}{tail}", "utf-8")
        return
    assert written == table(), "run with UPDATE_GOLDEN=1"


def test_every_setting_and_option_is_on_the_page():
    """By its name, and nothing that is none."""
    text = PAGE.read_text("utf-8")
    for name in (*INFO.settings, *Options.model_fields):
        assert f"`{name}`" in text, name
    rows = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    known = {*INFO.settings, *CARDS, *(feature.value for feature in Feature)}
    assert set(rows) - known == set()


def test_every_card_is_on_the_page():
    """The table of cards names all of them."""
    text = PAGE.read_text("utf-8")
    for name in CARDS:
        assert f"`{name}`" in text, name
