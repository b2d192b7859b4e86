"""RunPod serverless, over its REST v2 API and its job API: plain HTTP, no SDK."""

from __future__ import annotations

from gpuhub_runpod.adapter import RunpodAdapter
from gpuhub_runpod.info import INFO, create

__all__ = ["INFO", "RunpodAdapter", "create"]
