"""The page about Modal says what the code does."""

from __future__ import annotations

import os
from pathlib import Path

from gpuhub.adapter import Feature
from gpuhub_modal.capabilities import CAPABILITIES
from gpuhub_modal.gpus import CARDS
from gpuhub_modal.info import INFO
from gpuhub_modal.options import Options

PAGE = Path(__file__).parents[3] / "docs" / "providers" / "modal.md"
BEGIN = "<!-- capabilities: written by tests/adapters/modal/test_docs.py -->\n"
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


def test_every_setting_option_and_card_is_on_the_page():
    """By its name."""
    text = PAGE.read_text("utf-8")
    for name in (*INFO.settings, *Options.model_fields, *CARDS):
        assert f"`{name}`" in text, name


def test_no_setting_is_made_up():
    """The table of settings has those that there are."""
    section = PAGE.read_text("utf-8").partition("## Settings\n")[2].partition("\n## ")[0]
    rows = [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]
    assert rows == list(INFO.settings)
