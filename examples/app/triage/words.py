"""Words and topics; stands for a model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from snowballstemmer import stemmer

__all__ = ["EmptyTicket", "Topics", "stems"]

_DATA = Path(__file__).parent / "data" / "topics.json"


class EmptyTicket(ValueError):  # noqa: N818 - says what happened
    """A ticket without a word in it."""


def stems(text: str) -> Iterator[str]:
    """Give the stem of each word, in order: "charges" and "charged" are "charg"."""
    english = stemmer("english")
    for word in re.findall(r"[a-z]+", text.lower()):
        yield english.stemWord(word)


class Topics:
    """Tells the topic of a text by its words."""

    def __init__(self) -> None:
        named: Mapping[str, list[str]] = json.loads(_DATA.read_text())
        self._topics = {
            stem: topic for topic, words in named.items() for word in words for stem in stems(word)
        }

    def found(self, text: str) -> dict[str, set[str]]:
        """Give the decisive stems of each topic.

        Raises:
            EmptyTicket: There is no word in it.
        """
        words = list(stems(text))
        if not words:
            raise EmptyTicket("the ticket has no words")
        topics: dict[str, set[str]] = {}
        for word in words:
            if word in self._topics:
                topics.setdefault(self._topics[word], set()).add(word)
        return topics
