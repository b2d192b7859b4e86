"""Images: what is built of a specification, step by step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from gpuhub_beam.emulator import bodies
from gpuhub_beam.emulator.bodies import read_message
from gpuhub_beam.emulator.problems import Problem

if TYPE_CHECKING:
    from gpuhub_beam.emulator.objects import Images
    from gpuhub_beam.emulator.site import Site

__all__ = ["ImageService"]

Json = dict[str, Any]

_PYTHONS = frozenset(
    {"python3"}
    | {f"{kind}3.{minor}" for kind in ("python", "micromamba") for minor in range(8, 13)}
)


class ImageService:
    """``ImageService``.

    Args:
        site: What all parts share.
        images: What was built.
    """

    def __init__(self, site: Site, images: Images) -> None:
        self._site = site
        self._images = images

    async def verify(self, asked: Json) -> Json:
        """Say whether an image need not be built."""
        body = read_message(bodies.VerifyImageBuild, asked)
        _check(body)
        with self._site.change():
            facts = body.model_dump(exclude_defaults=True)
            image_id = body.image_id or self._images.id_of(facts)
            exists = self._images.exists(image_id) and not body.force_rebuild
            return {"imageId": image_id, "valid": True, "exists": exists}

    async def build(self, asked: Json) -> AsyncIterator[Json]:
        """Build an image, telling what happens."""
        body = read_message(bodies.BuildImage, asked)
        _check(body)
        return self._build(body)

    async def _build(self, body: bodies.BuildImage) -> AsyncIterator[Json]:
        with self._site.change():
            image_id = self._images.id_of(body.model_dump(exclude_defaults=True))
            if self._images.exists(image_id):
                told = {"success": True, "imageId": image_id}
                lines = [{"msg": "Image already exists\n", **told}]
                lines.append({"msg": "Build completed successfully\n", "done": True, **told})
            else:
                lines = self._built(image_id, body)
        for line in lines:
            yield line
        if not lines[-1].get("success"):
            raise Problem(500, "build failed", "grpc")

    def _built(self, image_id: str, body: bodies.BuildImage) -> list[Json]:
        base = body.existing_image_uri or f"beta9-runner:{body.python_version}"
        steps = [f"RUN {step.command}" for step in body.build_steps]
        steps += [f"RUN {command}" for command in body.commands]
        if body.python_packages:
            steps.append(f"RUN uv pip install {' '.join(body.python_packages)}")
        lines: list[Json] = [{"msg": "Setting up build container...\n"}]
        lines += [{"msg": f"{step}\n"} for step in (f"FROM {base}", *steps)]
        if problem := self._failure(base, body):
            return [*lines, {"msg": f"{problem}\n"}, {"msg": "Build failed\n", "done": True}]
        self._images.built.add(image_id)
        told = {"success": True, "imageId": image_id, "pythonVersion": body.python_version}
        return [*lines, {"msg": "Build complete\n", "done": True, **told}]

    def _failure(self, base: str, body: bodies.BuildImage) -> str:
        if self._images.failing:
            self._images.failing -= 1
            return "error: the build container exited with code 1"
        if base in self._images.missing:
            return f"reading manifest: {base}: manifest unknown"
        lacking = [name for name in body.python_packages if name in self._images.packages]
        return f"error: no version of {lacking[0]} was found" if lacking else ""


def _check(body: bodies.VerifyImageBuild | bodies.BuildImage) -> None:
    if body.python_version not in _PYTHONS:
        raise Problem(500, f"Python version not supported: {body.python_version}", "grpc")
