"""r8.im: the registry that images are pushed to, on the emulator's own port."""

from gpuhub_replicate.emulator.registry.plane import RegistryPlane
from gpuhub_replicate.emulator.registry.store import Store
from gpuhub_replicate.emulator.registry.upstream import UpstreamPlane

__all__ = ["RegistryPlane", "Store", "UpstreamPlane"]
