"""What a worker consists of: GPU, or CPU and memory, and disk, with their rows. Pure.

Fields: ``CreateEndpointGpuConfig``, ``CreateCpuConfig`` and ``BaseContainerConfig.disk`` of the
REST v2 document; flavors and their memory: "CPU types" of RunPod's documentation; read 2026-11-20.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from gpuhub.errors import SpecError
from gpuhub_runpod.gpus import select

if TYPE_CHECKING:
    from gpuhub.plan import Rows
    from gpuhub.spec import FunctionSpec
    from gpuhub_runpod.gpus import Selection
    from gpuhub_runpod.options import Options

__all__ = ["compute_body", "compute_rows", "selection_of"]

_LEAST_CORES, _MOST_CORES = 2, 32
_FLAVORS = ((2048, ("cpu5c", "cpu3c")), (4096, ("cpu5g", "cpu3g")))
"""MiB for each core, and the flavors that have them; either generation is taken."""
_WITH_THE_CARD = "comes with the card: RunPod lets nobody choose it for GPU workers"
_CHECKED = "checked against RunPod's catalog when it is deployed"


def selection_of(spec: FunctionSpec) -> Selection | None:
    """Give the GPU selection, ``None`` for CPU.

    Raises:
        SpecError: The choices cannot be had; see :func:`gpuhub_runpod.gpus.select`.
    """
    return select(spec.gpu_choices) if spec.gpu_choices else None


def compute_body(spec: FunctionSpec, selection: Selection | None, own: Options) -> dict[str, Any]:
    """Give ``gpu`` or ``cpu``, and ``disk`` where it was asked for.

    Raises:
        SpecError: No CPU flavor is that large.
    """
    disk = {} if spec.disk is None else {"disk": spec.disk}
    if selection is None:
        cores, flavors = _cpu(spec)
        return {"cpu": [{"id": flavor, "vcpuCount": cores} for flavor in flavors], **disk}
    gpu = selection.body()
    if own.allowed_cuda_versions:
        gpu["allowedCudaVersions"] = list(own.allowed_cuda_versions)
    elif spec.min_cuda is not None:
        gpu["minCudaVersion"] = spec.min_cuda
    return {"gpu": gpu, **disk}


def compute_rows(rows: Rows, spec: FunctionSpec, selection: Selection | None, own: Options) -> None:
    """Answer for ``gpu``, ``cpu``, ``memory``, ``disk`` and ``min_cuda``."""
    if selection is None:
        rows.unset("gpu", "a CPU endpoint", "cpu")
        _cpu_rows(rows, spec)
    else:
        _gpu_row(rows, selection)
        for field in ("cpu", "memory"):
            if spec.value_of(field) is None:
                rows.unset(field, _WITH_THE_CARD)
            else:
                rows.unsupported(field, _WITH_THE_CARD)
    if spec.disk is None:
        rows.unset("disk", "RunPod's own size", "disk")
    else:
        rows.exact("disk", "disk", spec.disk, "in GB", "billed in steps of 5 minutes")
    _cuda_row(rows, spec, selection, own)


def _gpu_row(rows: Rows, selection: Selection) -> None:
    body = selection.body()
    if selection.notes:
        rows.approximate("gpu", "gpu", body, "; ".join([*selection.notes, _CHECKED]))
    else:
        rows.exact("gpu", "gpu", body, _CHECKED)


def _cuda_row(rows: Rows, spec: FunctionSpec, selection: Selection | None, own: Options) -> None:
    native = "gpu.minCudaVersion"
    if spec.min_cuda is None:
        rows.unset("min_cuda", "any host", native)
    elif selection is None:
        rows.unsupported("min_cuda", "a CPU endpoint has no CUDA")
    elif own.allowed_cuda_versions:
        rows.unsupported("min_cuda", "RunPod takes it or allowed_cuda_versions, which is set too")
    else:
        rows.exact("min_cuda", native, spec.min_cuda)


def _cpu(spec: FunctionSpec) -> tuple[int, tuple[str, ...]]:
    """Give cores, a power of two, and the flavors with enough memory for each of them."""
    asked = max(_LEAST_CORES, math.ceil(spec.cpu or 0))
    memory = spec.memory or 0
    cores = 1 << (asked - 1).bit_length()
    while memory > cores * _FLAVORS[-1][0]:
        cores *= 2
    if cores > _MOST_CORES:
        raise SpecError(
            f"cpu, memory: RunPod's CPU workers have up to {_MOST_CORES} cores with"
            f" {_MOST_CORES * _FLAVORS[-1][0]:,} MiB (asked: {spec.cpu or 0:g} cores,"
            f" {memory:,} MiB)",
            next_step="ask for less, or choose a GPU, whose machines have more memory",
            provider="runpod",
        )
    if spec.cpu is None and spec.memory is None:
        return cores, tuple(name for _, names in _FLAVORS for name in names)
    return cores, next(names for size, names in _FLAVORS if memory <= cores * size)


def _cpu_rows(rows: Rows, spec: FunctionSpec) -> None:
    cores, flavors = _cpu(spec)
    what = f"flavor {' or '.join(flavors)}, whichever has capacity"
    if spec.cpu is None:
        rows.unset("cpu", f"{cores} cores; {what}", "cpu.vcpuCount")
    elif cores == spec.cpu:
        rows.exact("cpu", "cpu.vcpuCount", cores, what)
    else:
        why = f"RunPod has 2, 4, 8, 16 or 32 cores; the memory may need more of them; {what}"
        rows.approximate("cpu", "cpu.vcpuCount", cores, why)
    if spec.memory is None:
        rows.unset("memory", "2 or 4 GiB come with each core", "cpu.id")
        return
    size = cores * next(each for each, names in _FLAVORS if names == flavors)
    if size == spec.memory:
        rows.exact("memory", "cpu.id", list(flavors), f"{size} MiB")
    else:
        why = f"{size} MiB: memory comes with the cores, 2 or 4 GiB for each"
        rows.approximate("memory", "cpu.id", list(flavors), why)
