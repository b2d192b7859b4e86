"""The page about RunPod says what the code does."""

from __future__ import annotations

from gpuhub.adapter import Feature
from gpuhub_runpod.capabilities import CAPABILITIES
from gpuhub_runpod.gpus import CARDS
from gpuhub_runpod.info import INFO
from gpuhub_runpod.options import Options
from tests.adapters.pages import check_names, check_table, rows_of


def test_the_table_of_capabilities_is_the_codes():
    """Written by this test with UPDATE_GOLDEN=1."""
    check_table("runpod", CAPABILITIES)


def test_every_setting_and_option_is_on_the_page():
    """By its name, and nothing that is none."""
    check_names("runpod", (*INFO.settings, *Options.model_fields))
    known = {*INFO.settings, *CARDS, *(feature.value for feature in Feature)}
    assert set(rows_of("runpod")) - known == {"inline", "registry", "image"} - known


def test_every_card_is_on_the_page():
    """The table of pools names all of them."""
    check_names("runpod", CARDS)
