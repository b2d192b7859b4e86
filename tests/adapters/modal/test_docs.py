"""The page about Modal says what the code does."""

from __future__ import annotations

from gpuhub_modal.capabilities import CAPABILITIES
from gpuhub_modal.gpus import CARDS
from gpuhub_modal.info import INFO
from gpuhub_modal.options import Options
from tests.adapters.pages import check_names, check_table, rows_of


def test_the_table_of_capabilities_is_the_codes():
    """Written by this test with UPDATE_GOLDEN=1."""
    check_table("modal", CAPABILITIES)


def test_every_setting_option_and_card_is_on_the_page():
    """By its name."""
    check_names("modal", (*INFO.settings, *Options.model_fields, *CARDS))


def test_no_setting_is_made_up():
    """The table of settings has those that there are."""
    assert rows_of("modal", "Settings") == list(INFO.settings)
