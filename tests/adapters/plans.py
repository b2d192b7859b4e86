"""What the tests of plans share: a function to plan, changes of one field, golden files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from gpuhub.bundle import Bundle
from gpuhub.scaling import Scaling
from gpuhub.spec import Batching, FunctionSpec, Image, Schedule
from gpuhub.worker.target import Target

TARGET = Target("shop.embedding", "embed")
BUNDLE = Bundle({"manifest.json": b"{}", "app/shop/embedding.py": b"pass\n"}, TARGET, "ab" * 32)
PYTHON = Image(python="3.12")

CHANGES: dict[str, list[dict[str, Any]]] = {
    "name": [{"name": "other"}],
    "cpu": [{"cpu": 2}],
    "memory": [{"memory": 2048}],
    "disk": [{"disk": 20}],
    "image.reference": [{"image": Image("docker.io/me/worker:1")}],
    "image.pip": [{"image": Image(pip="numpy")}],
    "image.apt": [{"image": Image(apt="git")}],
    "image.commands": [{"image": Image(commands="true")}],
    "scaling.mode": [{"scaling": Scaling(mode="active")}],
    "scaling.min_workers": [{"scaling": Scaling(min_workers=2)}],
    "scaling.max_workers": [{"scaling": Scaling(max_workers=9)}],
    "scaling.buffer_workers": [{"scaling": Scaling(buffer_workers=1)}],
    "scaling.concurrency": [{"scaling": Scaling(concurrency=2)}],
    "scaling.target_in_flight": [{"scaling": Scaling(target_in_flight=3)}],
    "scaling.scale_up_delay": [{"scaling": Scaling(scale_up_delay=0)}],
    "scaling.scale_window": [{"scaling": Scaling(scale_window=1)}],
    "timeout": [{"timeout": 301}, {"timeout": 0.5}],
    "startup_timeout": [{"startup_timeout": 10}],
    "retries": [{"retries": 1}],
    "idempotent": [{"idempotent": True}],
    "batching": [{"batching": Batching(max_size=2, wait=1)}],
    "env": [{"env": {"A": "1"}}],
    "schedule": [{"schedule": Schedule(every=60)}],
    "cloud": [{"cloud": "aws"}],
    "snapshot": [{"snapshot": "cpu"}],
    "public": [{"public": True}],
}
"""By field, what a plan must not pass over; a provider's tests replace some and add the rest."""


def inputs(app: str, **settings: Any) -> tuple[FunctionSpec, Bundle]:
    """Give a function called ``<app>-embed`` and its bundle, as an adapter plans them."""
    given = {"app": app, "name": "embed", "target": TARGET, "image": PYTHON, **settings}
    return FunctionSpec(**given), Bundle(BUNDLE.files, given["target"], BUNDLE.digest)


def check_golden(place: Path, document: Any, indent: int = 1) -> None:
    """Compare JSON with a golden file, or write it there with UPDATE_GOLDEN=1.

    Each change of a plan is a change to review.
    """
    check_golden_text(place, json.dumps(document, indent=indent, ensure_ascii=False) + "\n")


def check_golden_text(place: Path, text: str) -> None:
    """The same with text."""
    if os.environ.get("UPDATE_GOLDEN"):
        place.write_text(text, "utf-8")
    assert place.read_text("utf-8") == text, "run with UPDATE_GOLDEN=1 and review the difference"
