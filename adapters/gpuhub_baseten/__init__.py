"""Baseten, over its REST API and its inference API: plain HTTP, no SDK."""

from __future__ import annotations

from gpuhub_baseten.adapter import BasetenAdapter
from gpuhub_baseten.info import INFO, create

__all__ = ["INFO", "BasetenAdapter", "create"]
