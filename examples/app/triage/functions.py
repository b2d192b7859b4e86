"""The functions that run on a provider, each with other settings."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import gpuhub
from triage.models import Ticket, Verdict
from triage.words import Topics, stems

__all__ = ["Summarize", "classify", "explain", "nightly", "remember", "shorten", "sign"]

IMAGE = gpuhub.Image(python="3.11", pip=["pydantic>=2.10,<3", "snowballstemmer>=2.2,<4"])
MEMORY = "/triage-memory"


@cache
def topics() -> Topics:
    """Load the model once for each worker."""
    return Topics()


@gpuhub.function(
    gpu=["H100", "A100-80GB"],  # the second where there is no first
    image=IMAGE,
    scaling=gpuhub.Scaling(mode="flex", max_workers=2, idle_timeout=60),
    timeout=120,
    env={"TRIAGE_URGENT": "down"},
)
def classify(ticket: Ticket) -> Verdict:
    """Say where a ticket belongs."""
    found = topics().found(ticket.text)
    topic = max(sorted(found), key=lambda name: len(found[name]), default="other")
    words = sorted(found.get(topic, ()))
    urgent = os.environ.get("TRIAGE_URGENT", "") in words or bool(ticket.screenshots)
    return Verdict(ticket=ticket.id, topic=topic, urgency=0.9 if urgent else 0.3, words=words)


@gpuhub.function(
    gpu="A100-80GB",
    image=IMAGE,
    scaling=gpuhub.Scaling(mode="active", min_workers=1, max_workers=2),
)
class Summarize:
    """A class: its model is loaded once for each worker, which is always warm."""

    def setup(self) -> None:
        """Load the model."""
        self.topics = Topics()

    def __call__(self, tickets: list[Ticket]) -> dict[str, int]:
        """Count tickets by topic."""
        counts: dict[str, int] = {}
        for ticket in tickets:
            for topic in self.topics.found(ticket.text) or {"other": set()}:
                counts[topic] = counts.get(topic, 0) + 1
        return dict(sorted(counts.items()))


@gpuhub.function(image=IMAGE)
def explain(ticket: Ticket) -> Iterator[str]:
    """A generator: one line for each topic, while it is found."""
    for topic, words in sorted(topics().found(ticket.text).items()):
        yield f"{topic}: {', '.join(sorted(words))}"


@gpuhub.function(image=IMAGE, scaling=gpuhub.Scaling(concurrency=4))
async def shorten(text: str, words: int = 3) -> str:
    """An async function: several calls run in one worker at once."""
    await asyncio.sleep(0)
    return " ".join(list(stems(text))[:words])


@gpuhub.function(image=IMAGE, secrets=["TRIAGE_KEY"])
def sign(text: str) -> str:
    """Use a secret that the provider keeps."""
    return hmac.new(os.environ["TRIAGE_KEY"].encode(), text.encode(), hashlib.sha256).hexdigest()


@gpuhub.function(image=IMAGE, volumes={MEMORY: gpuhub.Volume("triage-memory")})
def remember(topic: str) -> int:
    """Use a volume: count how often a topic was seen."""
    folders = json.loads(os.environ.get("GPUHUB_VOLUMES", "{}"))  # where an emulator puts it
    file = Path(folders.get(MEMORY, MEMORY)) / f"{topic}.txt"
    count = int(file.read_text()) + 1 if file.exists() else 1
    file.write_text(str(count))
    return count


@gpuhub.function(image=IMAGE, schedule=gpuhub.Schedule(cron="30 5 * * *"))
def nightly() -> str:
    """Run every night."""
    return "swept"
