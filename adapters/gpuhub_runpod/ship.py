"""How the code gets to RunPod: in the user's image, in the environment, or in a pushed image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuhub.errors import SpecError
from gpuhub.plan import ShipMode

if TYPE_CHECKING:
    from gpuhub.spec import FunctionSpec
    from gpuhub_runpod.defaults import Defaults
    from gpuhub_runpod.options import Options

__all__ = ["Shipping", "ship"]

_GPU_PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
"""Versions that RunPod's own queue images exist for; its image registry, read 2026-11-20."""


@dataclass(frozen=True, slots=True)
class Shipping:
    """The chosen way.

    Attributes:
        mode: As the plan shows it: ``image``, ``inline`` or ``registry``.
        image: What runs, or what layers are appended to.
        warnings: What could go wrong with it.
    """

    mode: ShipMode
    image: str
    warnings: tuple[str, ...] = ()

    @property
    def as_it_is(self) -> bool:
        """Whether the image runs unchanged, with a worker of its own."""
        return self.mode.mode == "image"


def ship(spec: FunctionSpec, packed: int, own: Options, defaults: Defaults) -> Shipping:
    """Choose the way.

    Args:
        spec: The function.
        packed: Bytes of its packed code.
        own: Its options.
        defaults: The settings.

    Raises:
        SpecError: There is no way; says which setting opens one.
    """
    image = spec.image.reference or _stock(spec, defaults)
    if own.image_has_worker:
        return _as_it_is(spec, image)
    warnings = _entrypoint(spec.image.reference)
    fits = packed <= defaults.inline_bundle_limit
    way = own.ship or ("inline" if fits or not defaults.registry else "registry")
    limit = f"{defaults.inline_bundle_limit:,} bytes (inline_bundle_limit)"
    if way == "inline":
        if not fits:
            raise _too_large(packed, limit)
        why = f"the packed code is within {limit}: it travels in the environment, no registry"
        return Shipping(ShipMode("inline", why, packed), image, warnings)
    if not defaults.registry:
        raise SpecError(
            "options: runpod.ship is 'registry', but no registry is set",
            next_step='set registry = "docker.io/me/workers" in [providers.runpod]',
            provider="runpod",
        )
    asked = "asked for in options" if own.ship else f"the packed code is above {limit}"
    why = f"{asked}: a layer on {image}, pushed to {defaults.registry}"
    return Shipping(ShipMode("registry", why, packed), image, warnings)


def _as_it_is(spec: FunctionSpec, image: str) -> Shipping:
    if spec.image.reference is None:
        raise SpecError(
            "options: runpod.image_has_worker needs an image of yours",
            next_step='name it: image=gpuhub.Image("docker.io/me/worker:1")',
            provider="runpod",
        )
    why = "image_has_worker: the image runs as it is, its worker answers gpuhub's envelope"
    return Shipping(ShipMode("image", why, 0), image)


def _stock(spec: FunctionSpec, defaults: Defaults) -> str:
    """Give the image of a function that names none."""
    python = spec.image.python
    is_web = spec.target.kind == "web"
    template = defaults.web_image if is_web else defaults.cpu_image
    if spec.gpu_choices:
        template = defaults.gpu_image
    if template.startswith("runpod/") and python not in _GPU_PYTHONS:
        template = "python:{python}-slim"
    return template.replace("{python}", python)


def _entrypoint(reference: str | None) -> tuple[str, ...]:
    if reference is None:
        return ()
    warning = (
        f"image.reference: {reference} must have python3 (3.9 or newer), pip and sh, and no "
        "ENTRYPOINT: RunPod passes the start command to one as arguments; if it has its own "
        "worker, set options={'runpod': {'image_has_worker': True}}"
    )
    return (warning,)


def _too_large(packed: int, limit: str) -> SpecError:
    return SpecError(
        f"the packed code has {packed:,} bytes, above {limit}, and no registry is set",
        next_step=(
            'set registry = "docker.io/me/workers" in [providers.runpod], leave files out with '
            "`exclude`, or raise inline_bundle_limit"
        ),
        provider="runpod",
    )
