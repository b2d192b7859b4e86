"""The container image: what Modal is asked to build, with its rows. Pure.

Each step is a method of the SDK's ``Image``, and one layer. Pythons: ``SUPPORTED_PYTHON_SERIES`` of
modal 1.6.4, which depends on the image builder version of the environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuhub.plan import Rows
    from gpuhub.spec import FunctionSpec

__all__ = ["PYTHONS", "image_rows", "image_steps"]

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14", "3.15")


def python_version(spec: FunctionSpec) -> str:
    """Give the version: the nearest one where Modal lacks it."""
    wanted = spec.image.python
    if wanted in PYTHONS:
        return wanted
    minor = int(wanted.partition(".")[2])
    return min(PYTHONS, key=lambda each: abs(int(each.partition(".")[2]) - minor))


def image_steps(spec: FunctionSpec) -> list[dict[str, Any]]:
    """Give the steps in order: ``{"method": …}`` and its arguments."""
    image = spec.image
    if image.reference is None:
        base: dict[str, Any] = {
            "method": "debian_slim",
            "python_version": python_version(spec),
        }
    else:
        base = {"method": "from_registry", "tag": image.reference}
        if image.registry_secret is not None:
            base["secret"] = image.registry_secret
        if spec.is_set("image.python"):
            base["add_python"] = python_version(spec)
    steps = [base]
    for method, values in {
        "apt_install": image.apt,
        "pip_install": image.pip,
        "run_commands": image.commands,
    }.items():
        if values:
            steps.append({"method": method, "values": list(values)})
    return steps


def image_rows(rows: Rows, spec: FunctionSpec) -> None:
    """Answer for every field of ``image``."""
    image = spec.image
    if image.reference is None:
        rows.unset("image.reference", "Debian with the Python asked for", "from_registry")
    else:
        why = "for linux/amd64, with Python and pip; Modal mounts its client into it"
        rows.exact("image.reference", "from_registry", image.reference, why)
    _python_row(rows, spec)
    for field, native, why in (
        ("apt", "apt_install", "a layer of its own, first"),
        ("pip", "pip_install", "a layer of its own, after apt"),
        ("commands", "run_commands", "a layer of its own, last"),
    ):
        if values := list(getattr(image, field)):
            rows.exact(f"image.{field}", native, values, why)
        else:
            rows.unset(f"image.{field}", native=native)
    if image.registry_secret is None:
        rows.unset("image.registry_secret", "pulled without a login", "secret")
    else:
        why = "a Modal secret with REGISTRY_USERNAME and REGISTRY_PASSWORD"
        rows.exact("image.registry_secret", "secret", image.registry_secret, why)


def _python_row(rows: Rows, spec: FunctionSpec) -> None:
    field, version = "image.python", python_version(spec)
    if spec.image.reference is not None and not spec.is_set(field):
        rows.unset(field, "the image brings its own Python", "add_python")
        return
    native = "python_version" if spec.image.reference is None else "add_python"
    if version != spec.image.python:
        rows.unsupported(
            field,
            f"Modal has Python {PYTHONS[0]} to {PYTHONS[-1]}, not {spec.image.python};"
            f" {version} is taken",
        )
    else:
        rows.exact(field, native, version, "which there are depends on the image builder version")
