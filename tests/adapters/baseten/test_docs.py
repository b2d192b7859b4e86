"""The page about Baseten says what the code does."""

from __future__ import annotations

from gpuhub.adapter import Feature
from gpuhub_baseten.capabilities import CAPABILITIES
from gpuhub_baseten.gpus import CARDS
from gpuhub_baseten.info import INFO
from gpuhub_baseten.options import Options
from tests.adapters.pages import check_names, check_table, rows_of


def test_the_table_of_capabilities_is_the_codes():
    """Written by this test with UPDATE_GOLDEN=1."""
    check_table("baseten", CAPABILITIES)


def test_every_setting_and_option_is_on_the_page():
    """By its name, and nothing that is none."""
    check_names("baseten", (*INFO.settings, *Options.model_fields))
    known = {*INFO.settings, *CARDS, *(feature.value for feature in Feature)}
    assert set(rows_of("baseten")) - known == set()


def test_every_card_is_on_the_page():
    """The table of cards names all of them."""
    check_names("baseten", CARDS)
