"""What workers use of the ``runpod`` package."""

from __future__ import annotations

from typing import Any

__all__ = ["progress_update", "start"]


def start(config: dict[str, Any]) -> None:
    """Take jobs until the process is killed, or asked for a fresh worker."""
    from runpod.serverless.loop import work

    work(config)


def progress_update(job: dict[str, Any], progress: Any) -> None:
    """Tell how far a job is; from any thread."""
    from runpod.serverless.api import Api

    Api.from_environment().tell_progress(job["id"], progress)
