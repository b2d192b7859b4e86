"""The page about Beam says what the code does."""

from __future__ import annotations

from gpuhub_beam.capabilities import CAPABILITIES
from gpuhub_beam.gpus import CARDS
from gpuhub_beam.info import INFO
from gpuhub_beam.options import Options
from tests.adapters.pages import check_table, page_of

PAGE = page_of("beam")


def test_the_table_of_capabilities_is_the_codes():
    """Written by this test with UPDATE_GOLDEN=1."""
    check_table("beam", CAPABILITIES)


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
