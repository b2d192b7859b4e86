"""The page about Replicate says what the code does."""

from __future__ import annotations

from gpuhub_replicate.capabilities import capabilities
from gpuhub_replicate.gpus import HARDWARE
from gpuhub_replicate.info import INFO
from gpuhub_replicate.options import Options
from tests.adapters.pages import check_names, check_table, page_of


def test_the_table_of_capabilities_is_the_codes():
    """Written by this test with UPDATE_GOLDEN=1."""
    check_table("replicate", capabilities(mode="push", secrets_in_image=False))


def test_every_setting_and_option_is_on_the_page():
    """By its name."""
    check_names("replicate", (*INFO.settings, *Options.model_fields))


def test_all_hardware_is_on_the_page():
    """Card by card, with the number of GPUs as the column."""
    text = page_of("replicate").read_text("utf-8")
    for name, counts in HARDWARE.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}`"))
        cells = [cell.strip() for cell in row.strip("|").split("|")][1:]
        assert cells == [counts.get(count, "") for count in (1, 2, 4, 8)]
