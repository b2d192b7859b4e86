"""What the tests of the providers' pages share: names, tables, that of capabilities above all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from gpuhub.adapter import Feature, Support

END = "<!-- end -->"


def page_of(provider: str) -> Path:
    """Give the page about a provider."""
    return Path(__file__).parents[2] / "docs" / "providers" / f"{provider}.md"


def table_of(capabilities: Mapping[Feature, Support]) -> str:
    """Write capabilities as Markdown."""
    lines = ["| Feature | Support | How, or why not |", "| --- | --- | --- |"]
    for feature in Feature:
        support = capabilities[feature]
        lines.append(f"| `{feature.value}` | {support.level.value} | {support.how} |")
    return "\n".join(lines) + "\n"


def check_table(provider: str, capabilities: Mapping[Feature, Support]) -> None:
    """Compare the table on a provider's page, or write it with UPDATE_GOLDEN=1."""
    begin = f"<!-- capabilities: written by tests/adapters/{provider}/test_docs.py -->\n"
    page, table = page_of(provider), table_of(capabilities)
    head, _, rest = page.read_text("utf-8").partition(begin)
    written, _, tail = rest.partition(END)
    if os.environ.get("UPDATE_GOLDEN"):
        page.write_text(f"{head}{begin}{table}{END}{tail}", "utf-8")
        return
    assert written == table, "run with UPDATE_GOLDEN=1"


def check_names(provider: str, names: Iterable[str]) -> None:
    """All of these are on a provider's page, as code."""
    text = page_of(provider).read_text("utf-8")
    assert [name for name in names if f"`{name}`" not in text] == []


def rows_of(provider: str, section: str = "") -> list[str]:
    """Give what the rows of a page's tables are about, or of those in one section."""
    text = page_of(provider).read_text("utf-8")
    if section:
        text = text.partition(f"## {section}\n")[2].partition("\n## ")[0]
    return [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
