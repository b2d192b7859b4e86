"""The page about Replicate says what the code does."""

from __future__ import annotations

import os
from pathlib import Path

from gpuhub.adapter import Feature
from gpuhub_replicate.capabilities import capabilities
from gpuhub_replicate.gpus import HARDWARE
from gpuhub_replicate.info import INFO
from gpuhub_replicate.options import Options

PAGE = Path(__file__).parents[3] / "docs" / "providers" / "replicate.md"
BEGIN = "<!-- capabilities: written by tests/adapters/replicate/test_docs.py -->\n"
END = "<!-- end -->"


def table() -> str:
    """Write the capabilities as Markdown."""
    found = capabilities(mode="push", secrets_in_image=False)
    lines = ["| Feature | Support | How, or why not |", "| --- | --- | --- |"]
    for feature in Feature:
        support = found[feature]
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
    """By its name."""
    text = PAGE.read_text("utf-8")
    for name in (*INFO.settings, *Options.model_fields):
        assert f"`{name}`" in text, name


def test_all_hardware_is_on_the_page():
    """Card by card, with the number of GPUs as the column."""
    text = PAGE.read_text("utf-8")
    for name, counts in HARDWARE.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}`"))
        cells = [cell.strip() for cell in row.strip("|").split("|")][1:]
        assert cells == [counts.get(count, "") for count in (1, 2, 4, 8)]
