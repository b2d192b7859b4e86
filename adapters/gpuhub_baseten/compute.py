"""What a replica runs on: GPU, CPU and memory, with their rows. Pure.

``resources`` of ``config.yaml`` (``Resources`` of Truss 0.18.35): Baseten takes the cheapest
instance type that covers them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpuhub_baseten.gpus import select

if TYPE_CHECKING:
    from gpuhub.plan import Rows
    from gpuhub.spec import FunctionSpec
    from gpuhub_baseten.options import Options

__all__ = ["compute_rows", "resources"]

_COVERS = "at least: Baseten takes the cheapest instance type that covers all"
_BY_NAME = "options.instance_type names the whole machine"


def resources(spec: FunctionSpec, own: Options) -> dict[str, Any]:
    """Give ``resources``; what nobody asked for is left to Baseten.

    Raises:
        UnknownGpu: Baseten has none of the cards.
    """
    found: dict[str, Any] = {}
    if spec.cpu is not None:
        found["cpu"] = _cpu(spec.cpu)
    if spec.memory is not None:
        found["memory"] = f"{spec.memory}Mi"
    if spec.gpu_choices:
        found["accelerator"] = select(spec.gpu_choices).accelerator
    if own.instance_type is not None:
        found["instance_type"] = own.instance_type
    return found


def compute_rows(rows: Rows, spec: FunctionSpec, own: Options) -> None:
    """Answer for ``gpu``, ``cpu``, ``memory``, ``disk`` and ``min_cuda``."""
    _gpu_row(rows, spec, own)
    _machine_rows(rows, spec, own)
    if spec.disk is None:
        rows.unset("disk", "comes with the instance type")
    else:
        rows.unsupported("disk", "the disk comes with the instance type")
    if spec.min_cuda is None:
        rows.unset("min_cuda", "any host")
    else:
        rows.unsupported("min_cuda", "Baseten lets nobody choose the driver")


def _gpu_row(rows: Rows, spec: FunctionSpec, own: Options) -> None:
    by_name = own.instance_type is not None
    if not spec.gpu_choices:
        rows.unset("gpu", "as the instance type has" if by_name else "runs without a GPU")
    elif by_name:
        rows.unsupported("gpu", _BY_NAME)
    else:
        selection = select(spec.gpu_choices)
        native, value = "resources.accelerator", selection.accelerator
        if selection.notes:
            rows.approximate("gpu", native, value, "; ".join(selection.notes))
        else:
            rows.exact("gpu", native, value)


def _machine_rows(rows: Rows, spec: FunctionSpec, own: Options) -> None:
    sent = resources(spec, own)
    for field in ("cpu", "memory"):
        if spec.value_of(field) is None:
            rows.unset(field, "what the cheapest instance type has", f"resources.{field}")
        elif own.instance_type is not None:
            rows.unsupported(field, _BY_NAME)
        else:
            rows.exact(field, f"resources.{field}", sent[field], _COVERS)


def _cpu(cores: float) -> str:
    return str(int(cores)) if cores == int(cores) else f"{round(cores * 1000)}m"
