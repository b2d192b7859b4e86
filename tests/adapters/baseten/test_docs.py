"""The page about Baseten says what the code does."""

from __future__ import annotations

from gpuhub.adapter import Feature
from gpuhub_baseten.capabilities import CAPABILITIES
from gpuhub_baseten.gpus import CARDS
from gpuhub_baseten.info import INFO
from gpuhub_baseten.options import Options
from tests.adapters.pages import check_table, page_of

PAGE = page_of("baseten")


def test_the_table_of_capabilities_is_the_codes():
    """Written by this test with UPDATE_GOLDEN=1."""
    check_table("baseten", CAPABILITIES)


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
