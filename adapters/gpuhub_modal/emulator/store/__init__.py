"""What a workspace keeps beside its apps: files, images, secrets, volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuhub_modal.emulator.store.files import Files
from gpuhub_modal.emulator.store.images import Images
from gpuhub_modal.emulator.store.secrets import Secrets
from gpuhub_modal.emulator.store.volumes import Volumes

if TYPE_CHECKING:
    from gpuhub_modal.emulator.site import Site

__all__ = ["Files", "Images", "Secrets", "Store", "Volumes"]


class Store:
    """All of it. Every method needs the lock.

    Args:
        site: What all parts share.
    """

    def __init__(self, site: Site) -> None:
        self.files = Files(site)
        self.images = Images(site)
        self.secrets = Secrets(site)
        self.volumes = Volumes(site)
