"""Builds the bundles of a target: ``python -m gpuhub.cli.serving.building ORDER``.

A fresh process for each build: imports of the user's code leave nothing behind, and code that hangs
or crashes at import does not take the development loop along.
"""

from __future__ import annotations

import inspect
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub.cli.exit_codes import INTERRUPTED
from gpuhub.cli.failures import report
from gpuhub.cli.output import Output
from gpuhub.cli.run import Run
from gpuhub.cli.targets import read_target

if TYPE_CHECKING:
    from gpuhub._decorated import Decorated

__all__ = ["RESULT", "Order", "Served", "read_result"]

RESULT = "served.json"


@dataclass(frozen=True, slots=True)
class Order:
    """What to build.

    Attributes:
        target: As the user gave it.
        folder: Where bundles and the result go.
        json: Whether errors are printed as JSON.
        verbose: Whether tracebacks are printed, too.
        options: ``provider``, ``profile``, ``app`` and ``root``, as far as given.
    """

    target: str
    folder: str
    json: bool
    verbose: bool
    options: dict[str, str]


@dataclass(frozen=True, slots=True)
class Served:
    """One function that a local worker can run.

    Attributes:
        name: Its name in the app.
        kind: ``function``, ``generator``, ``class`` or ``web``.
        folder: The unpacked bundle.
        digest: Of the bundle and of what else the worker is started with.
        concurrency: Calls at once.
        env: Its environment variables.
        secrets: Variable in the worker -> variable here.
        volumes: Mount paths, which a local worker does not have.
        example: Arguments to show in a command line.
    """

    name: str
    kind: str
    folder: str
    digest: str
    concurrency: int
    env: dict[str, str]
    secrets: dict[str, str]
    volumes: list[str]
    example: dict[str, Any]


def main(arguments: list[str]) -> int:
    """Build and write the result; give the exit code."""
    order = Order(**json.loads(arguments[0]))
    out = Output(json=order.json, verbose=order.verbose)
    options: dict[str, Any] = dict(order.options)
    if "root" in options:
        options["root"] = Path(options["root"])
    try:
        with Run(out, **options) as run:
            found = read_target(run, order.target)
            served = [asdict(_build(each, Path(order.folder))) for each in found.objects]
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - all of it is the user's to read
        return report(error, out)
    Path(order.folder, RESULT).write_text(json.dumps(served), "utf-8")
    return 0


def read_result(folder: Path) -> list[Served]:
    """What :func:`main` wrote."""
    return [Served(**each) for each in json.loads((folder / RESULT).read_text("utf-8"))]


def _build(found: Decorated, folder: Path) -> Served:
    spec, bundle = found.spec, found.bundle()
    place = bundle.write_to(folder / spec.name)
    env = dict(spec.env)
    secrets = {secret.env: secret.name for secret in spec.secrets}
    concurrency = spec.scaling.concurrency
    started_with = json.dumps([bundle.digest, env, secrets, concurrency], sort_keys=True)
    return Served(
        name=spec.name,
        kind=spec.target.kind,
        folder=str(place),
        digest=started_with,
        concurrency=concurrency,
        env=env,
        secrets=secrets,
        volumes=list(spec.volumes),
        example={} if spec.target.kind == "web" else _example(found),
    )


_EXAMPLES: dict[str, Any] = {
    "str": "text",
    "int": 1,
    "float": 1.0,
    "bool": True,
    "list": [],
    "dict": {},
}


def _example(found: Any) -> dict[str, Any]:
    """A value for each parameter that has to be given."""
    needed = {
        name: each.annotation
        for name, each in inspect.signature(found).parameters.items()
        if each.default is each.empty
    }
    return {name: _EXAMPLES.get(_base_name(kind)) for name, kind in needed.items()}


def _base_name(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return text.partition("[")[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
