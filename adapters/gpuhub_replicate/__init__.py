"""Replicate, over its HTTP API and its image registry: plain HTTP, no SDK, no Docker."""

from __future__ import annotations

from gpuhub_replicate.adapter import ReplicateAdapter
from gpuhub_replicate.info import INFO, create
from gpuhub_replicate.outputs import OutputFile, output_files
from gpuhub_replicate.webhooks import verify_webhook

__all__ = ["INFO", "OutputFile", "ReplicateAdapter", "create", "output_files", "verify_webhook"]
