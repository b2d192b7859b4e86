"""The container image: what Beam is asked to build, with its rows. Pure.

``VerifyImageBuildRequest`` and ``BuildImageRequest`` (image.proto); steps run in order. The image
has a Python from 3.8 to 3.12: Beam mounts its runner into those only (``PythonVersion`` of beta9
0.1.291); gpuhub's worker wants 3.9.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from gpuhub.errors import SpecError

if TYPE_CHECKING:
    from gpuhub.plan import Rows
    from gpuhub.spec import FunctionSpec, Image

__all__ = ["IMAGES_OWN", "PYTHONS", "credentials", "image_body", "image_rows", "python_version"]

PYTHONS = ("3.9", "3.10", "3.11", "3.12")
IMAGES_OWN = "python3"
"""Takes the Python of the image."""

_APT = (
    "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "
    "--no-install-recommends {packages} && rm -rf /var/lib/apt/lists/*"
)


def python_version(spec: FunctionSpec) -> str:
    """Give Beam's name of the Python: the nearest one when Beam lacks it."""
    image = spec.image
    if image.reference is not None and not spec.is_set("image.python"):
        return IMAGES_OWN
    return f"python{image.python if image.python in PYTHONS else PYTHONS[-1]}"


def credentials(image: Image) -> dict[str, str]:
    """Give the names of workspace secrets that pull a private image.

    Raises:
        SpecError: A name is empty.
    """
    if image.registry_secret is None:
        return {}
    names = [name.strip() for name in image.registry_secret.split(",")]
    if not all(names):
        raise SpecError(
            f"image.registry_secret: {image.registry_secret!r} has an empty name",
            next_step="name the workspace secrets: 'DOCKERHUB_USERNAME,DOCKERHUB_PASSWORD'",
            provider="beam",
        )
    return dict.fromkeys(names, "")


def image_body(spec: FunctionSpec) -> dict[str, Any]:
    """Give what both ``verify-build`` and ``build`` take."""
    image = spec.image
    steps = [{"type": "pip", "command": requirement} for requirement in image.pip]
    if image.apt:
        packages = " ".join(shlex.quote(package) for package in image.apt)
        steps.insert(0, {"type": "shell", "command": _APT.format(packages=packages)})
    steps += [{"type": "shell", "command": command} for command in image.commands]
    return {
        "pythonVersion": python_version(spec),
        "pythonPackages": [],
        "commands": [],
        "buildSteps": steps,
        "existingImageUri": image.reference or "",
        "envVars": [],
        "dockerfile": "",
        "buildCtxObject": "",
        "secrets": [],
        "gpu": "",
        "ignorePython": False,
    }


def image_rows(rows: Rows, spec: FunctionSpec) -> None:
    """Answer for every field of ``image``."""
    image = spec.image
    if image.reference is None:
        rows.unset("image.reference", "an image with the Python asked for", "existingImageUri")
    else:
        why = "Beam adds its runner; a Python of 3.9 to 3.12 at its usual place is needed"
        rows.exact("image.reference", "existingImageUri", image.reference, why)
    _python_row(rows, spec)
    for field, native, why in (
        ("pip", "buildSteps", ""),
        ("apt", "buildSteps", "one apt-get step before the others"),
        ("commands", "buildSteps", "after the packages"),
    ):
        if values := list(getattr(image, field)):
            rows.exact(f"image.{field}", native, values, why)
        else:
            rows.unset(f"image.{field}", native=native)
    if image.registry_secret is None:
        rows.unset("image.registry_secret", "pulled without a login", "existingImageCreds")
    else:
        names = list(credentials(image))
        why = "names of workspace secrets, as Beam's SDK calls them, separated by commas"
        rows.exact("image.registry_secret", "existingImageCreds", names, why)


def _python_row(rows: Rows, spec: FunctionSpec) -> None:
    field, native, python = "image.python", "pythonVersion", spec.image.python
    version = python_version(spec)
    if version == IMAGES_OWN:
        rows.unset(field, "the image brings its own Python", native)
    elif version != f"python{python}":
        rows.unsupported(
            field, f"Beam and gpuhub have Python 3.9 to 3.12, not {python}; {version} is taken"
        )
    else:
        rows.exact(field, native, version)
