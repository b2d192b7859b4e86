"""The report: one row for each field of the spec, and the mock's own name for it.

The request is made from these rows, so nothing can be told that is not sent.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from gpuhub.adapter.options import ignored_options
from gpuhub.errors import SpecError
from gpuhub.plan import Row, Rows
from gpuhub.spec import FunctionSpec, Volume
from gpuhub_mock.capabilities import RECORDED

if TYPE_CHECKING:
    from gpuhub.gpus import Resolution
    from gpuhub.scaling import Scaling

__all__ = ["SCALING", "make_rows", "workers_body"]

PROVIDER = "mock"
SCALING = {
    "mode": "mode",
    "min_workers": "min",
    "max_workers": "max",
    "buffer_workers": "buffer",
    "idle_timeout": "idle_timeout_s",
    "concurrency": "concurrency",
    "target_in_flight": "target_in_flight",
    "scale_up_delay": "scale_up_delay_s",
    "scale_window": "scale_window_s",
}
"""Field of :class:`~gpuhub.scaling.Scaling` -> key of ``workers``."""
_OPTIONS = {"build_s": 0.0, "cold_start_s": 0.0}
"""Keys of ``options={"mock": {…}}`` with their lowest values, in seconds."""


def make_rows(spec: FunctionSpec, gpus: list[Resolution[float]]) -> tuple[Row, ...]:
    """Answer for every field of a spec; ``gpus`` are the cards its choices come to."""
    rows = Rows(spec)
    rows.exact("name", "name", spec.deployment_name)
    rows.exact("target", "code.target", spec.target.to_dict())
    _gpu_row(rows, gpus)
    _recorded(rows, spec, "cpu", "hardware.cpu_cores")
    _recorded(rows, spec, "memory", "hardware.memory_mib")
    _recorded(rows, spec, "disk", "hardware.disk_gib")
    for field in type(spec.image).model_fields:
        _recorded(rows, spec, f"image.{field}", f"image.{field}")
    _scaling_rows(rows, spec)
    _call_rows(rows, spec)
    _environment_rows(rows, spec)
    _placement_rows(rows, spec)
    _option_row(rows, spec)
    return rows.done()


def _recorded(rows: Rows, spec: FunctionSpec, field: str, native: str) -> None:
    """Add a row for a setting that the mock takes, shows and does not act on."""
    value = _jsonable(spec.value_of(field))
    if value is None or value == []:
        rows.unset(field, f"nothing is asked; {RECORDED[field]}", native)
    elif not spec.is_set(field):
        rows.exact(field, native, value, RECORDED[field])
    else:
        rows.emulated(field, native, value, RECORDED[field])


def _gpu_row(rows: Rows, gpus: list[Resolution[float]]) -> None:
    value = [{"type": each.gpu.name, "count": each.count} for each in gpus]
    narrowed = [f"{each.choice} means {each.gpu.name} here" for each in gpus if not each.exact]
    if narrowed:
        rows.approximate("gpu", "hardware.gpu", value, "; ".join(narrowed))
    elif gpus:
        rows.exact("gpu", "hardware.gpu", value, "simulated: priced, but workers see no GPU")
    else:
        rows.exact("gpu", "hardware.gpu", value, "CPU only")


def _scaling_rows(rows: Rows, spec: FunctionSpec) -> None:
    costs = {
        "min_workers": "billed around the clock" if spec.scaling.min_workers else "",
        "buffer_workers": "billed while there is load" if spec.scaling.buffer_workers else "",
        "idle_timeout": "an idle worker is billed until it stops",
    }
    for field, value in workers_body(spec.scaling).items():
        name = next(own for own, native in SCALING.items() if native == field)
        path = f"scaling.{name}"
        if value is None:
            rows.unset(path, _UNSET[name], f"workers.{field}")
        elif path in RECORDED:
            rows.emulated(path, f"workers.{field}", value, RECORDED[path])
        else:
            rows.exact(path, f"workers.{field}", value, cost=costs.get(name, ""))


_UNSET = {
    "target_in_flight": "the autoscaler aims at `concurrency` calls for each worker",
    "scale_up_delay": "workers are added as soon as calls wait",
    "scale_window": "the mock scales on the load of the moment",
}


def workers_body(scaling: Scaling) -> dict[str, Any]:
    """Give the limits as the mock takes them."""
    values = scaling.model_dump(mode="json")
    return {native: values[field] for field, native in SCALING.items()}


def _call_rows(rows: Rows, spec: FunctionSpec) -> None:
    rows.exact("timeout", "calls.timeout_s", spec.timeout)
    if spec.startup_timeout is None:
        rows.unset("startup_timeout", "a worker may start for as long as it takes")
    else:
        rows.exact("startup_timeout", "startup_timeout_s", spec.startup_timeout)
    rows.exact("retries", "calls.retries", spec.retries)
    rows.emulated(
        "idempotent", None, spec.idempotent, "gpuhub's own: whether a lost submit is sent again"
    )
    if spec.batching is None:
        rows.unset("batching", "each call runs by itself")
    else:
        batching = {"max_size": spec.batching.max_size, "wait_s": spec.batching.wait}
        rows.exact("batching", "calls.batching", batching)


def _environment_rows(rows: Rows, spec: FunctionSpec) -> None:
    rows.exact("env", "env", dict(spec.env))
    secrets = [_secret(each.name, each.env, each.source) for each in spec.secrets]
    rows.exact("secrets", "secrets", secrets)
    mounts = [_mount(path, volume) for path, volume in sorted(spec.volumes.items())]
    if mounts:
        rows.emulated("volumes", "mounts", mounts, RECORDED["volumes"])
    else:
        rows.unset("volumes", "nothing is mounted", "mounts")
    if spec.schedule is None:
        rows.unset("schedule", "it runs when called")
    else:
        timer = {"cron": spec.schedule.cron, "every_s": spec.schedule.every}
        rows.exact("schedule", "schedule", {k: v for k, v in timer.items() if v is not None})


def _secret(name: str, env: str, source: str) -> dict[str, str]:
    entry = {"name": name, "env": env}
    return {**entry, "value": f"{{{{secret:{name}}}}}"} if source == "local" else entry


def _mount(path: str, volume: Any) -> dict[str, Any]:
    fields = volume.model_dump(mode="json", exclude_none=True)
    is_volume = isinstance(volume, Volume)
    source = fields.pop("name" if is_volume else "url")
    return {"path": path, "kind": "volume" if is_volume else "bucket", "source": source, **fields}


def _placement_rows(rows: Rows, spec: FunctionSpec) -> None:
    _recorded(rows, spec, "regions", "placement.regions")
    _recorded(rows, spec, "cloud", "placement.cloud")
    _recorded(rows, spec, "snapshot", "snapshot")
    _recorded(rows, spec, "min_cuda", "hardware.min_cuda")
    _recorded(rows, spec, "public", "public")


def _option_row(rows: Rows, spec: FunctionSpec) -> None:
    own = {key: _option(key, value) for key, value in spec.options.get(PROVIDER, {}).items()}
    others, ignored = ignored_options(spec, PROVIDER)
    if own:
        rows.exact("options", "simulation", own, ignored)
    elif others:
        rows.emulated("options", None, others, ignored)
    else:
        rows.unset("options", "", "simulation")


def _option(key: str, value: Any) -> float:
    if key not in _OPTIONS:
        near = get_close_matches(key, _OPTIONS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(_OPTIONS)}"
        raise SpecError(f"options: mock has no {key!r}", next_step=hint, provider=PROVIDER)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < _OPTIONS[key]:
        raise SpecError(
            f"options: mock.{key} is seconds, at least {_OPTIONS[key]:g} (got {value!r})",
            next_step="correct it in the decorator",
            provider=PROVIDER,
        )
    return value


def _jsonable(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
