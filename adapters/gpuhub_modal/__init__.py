"""Modal, through its official SDK, which is imported when the first request is sent."""

from __future__ import annotations

from gpuhub_modal.adapter import ModalAdapter
from gpuhub_modal.info import INFO, create

__all__ = ["INFO", "ModalAdapter", "create"]
