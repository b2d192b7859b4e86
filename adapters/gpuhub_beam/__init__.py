"""Beam and self-hosted beta9, over the gateway's HTTP/JSON interface: no SDK."""

from __future__ import annotations

from gpuhub_beam.adapter import BeamAdapter
from gpuhub_beam.info import INFO, create

__all__ = ["INFO", "BeamAdapter", "create"]
