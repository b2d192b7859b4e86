"""Finds a card for a worker, and makes the machine that runs its code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator.logs import WorkerLog
from gpuhub.testing.emulator.signals import Signal
from gpuhub_runpod.emulator.workers import Machine, MachineOrder, Worker

if TYPE_CHECKING:
    from gpuhub_runpod.emulator.endpoints import Endpoint
    from gpuhub_runpod.emulator.machines import Workshop
    from gpuhub_runpod.emulator.site import Site

__all__ = ["Placement"]

_SECRET = re.compile(r"\{\{\s*RUNPOD_SECRET_(\w+)\s*\}\}")
_HOME_CENTER = "US-KS-2"


class Placement:
    """Where workers run.

    Args:
        site: What all parts share.
        workshop: Makes machines.
        folder: For what workers print.

    Attributes:
        watch_health: Called with a worker that serves HTTP and has just been started.
    """

    def __init__(self, site: Site, workshop: Workshop, folder: Path) -> None:
        self._site = site
        self._workshop = workshop
        self._folder = folder
        self.watch_health: Callable[[Endpoint, Worker], None] = lambda *_: None

    def new_worker(self, endpoint: Endpoint, ready_at: float) -> Worker:
        """Make a worker of the current release, not yet placed."""
        worker_id = self._site.new_id()
        log = WorkerLog(self._folder / f"{worker_id}.log", self._site.timeline.wall)
        endpoint.logs[worker_id] = log
        now = self._site.timeline.now()
        signal = Signal(self._site.waker)
        return Worker(
            worker_id,
            endpoint.release,
            now,
            log,
            signal,
            site=self._site,
            ready_at=ready_at,
            idle_since=now,
        )

    def find_card(self, endpoint: Endpoint, worker: Worker) -> bool:
        """Give a worker a place; ``False`` when no card it may have is free."""
        centers = endpoint.config["dataCenterIds"]
        worker.data_center = centers[0] if centers else _HOME_CENTER
        gpu = endpoint.config.get("gpu")
        if gpu is None:
            return True
        types = self._site.catalog.pool(gpu["pools"], gpu["excludedTypes"])
        free = next((each for each in types if each.stock != "NONE"), None)
        worker.gpu_type = free.id if free is not None else None
        return free is not None

    def machine(
        self, endpoint: Endpoint, worker: Worker, exited: Callable[[Machine, int], None]
    ) -> Machine:
        """Make the machine of a worker, not yet started."""
        made: list[Machine] = []
        config = worker.release.config
        order = MachineOrder(
            worker_id=worker.id,
            image=config["image"],
            args=config["args"],
            env={**self._own(config["env"]), **self._platform(endpoint, worker)},
            log=worker.log,
            exited=lambda code: exited(made[0], code),
        )
        worker.log.say(f"start container for {config['image']}")
        made.append(self._workshop.make(worker, order, is_web=not endpoint.is_queue))
        return made[0]

    def explain_breakage(self, worker: Worker) -> None:
        """Log why a broken release does not start."""
        image = worker.release.config["image"]
        for text in (
            f"create container {image}",
            f"error creating container: {image}: failed to start: the build is broken",
        ):
            worker.log.say(text)

    def _own(self, env: Mapping[str, str]) -> dict[str, str]:
        """Fill in secrets; one that does not exist stays as it is written."""

        def value(match: re.Match[str]) -> str:
            return self._site.user_secrets.get(match[1], match[0])

        return {name: _SECRET.sub(value, text) for name, text in env.items()}

    def _platform(self, endpoint: Endpoint, worker: Worker) -> dict[str, str]:
        base = f"{self._site.url}/v2/{endpoint.id}"
        query = f"gpu={(worker.gpu_type or 'CPU').replace(' ', '+')}&boot={worker.boots}"
        config = worker.release.config
        given: dict[str, Any] = {
            "RUNPOD_AI_API_KEY": self._site.worker_key,
            "RUNPOD_CPU_COUNT": _cpu_count(config),
            "RUNPOD_DC_ID": worker.data_center,
            "RUNPOD_ENDPOINT_ID": endpoint.id,
            "RUNPOD_GPU_COUNT": config.get("gpu", {}).get("count", 0),
            "RUNPOD_PING_INTERVAL": 10_000,
            "RUNPOD_POD_HOSTNAME": f"{worker.id}-host",
            "RUNPOD_POD_ID": worker.id,
            "RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true",
            "RUNPOD_SKIP_GPU_CHECK": "true",
            "RUNPOD_WEBHOOK_GET_JOB": f"{base}/job-take/$ID?{query}",
            "RUNPOD_WEBHOOK_PING": f"{base}/ping/$RUNPOD_POD_ID",
            "RUNPOD_WEBHOOK_POST_OUTPUT": f"{base}/job-done/$RUNPOD_POD_ID/$ID?{query}",
            "RUNPOD_WEBHOOK_POST_STREAM": f"{base}/job-stream/$RUNPOD_POD_ID/$ID?{query}",
        }
        given |= self._volumes(config)
        return {name: str(value) for name, value in given.items()}

    def _volumes(self, config: Mapping[str, Any]) -> dict[str, str]:
        """A folder for the network volume: nobody may mount one in this machine's root."""
        if not config["networkVolumes"]:
            return {}
        folder = self._folder / "volumes" / config["networkVolumes"][0]
        folder.mkdir(parents=True, exist_ok=True)
        paths = ["/runpod-volume", *json.loads(config["env"].get("GPUHUB_MOUNTS") or "[]")]
        return {"GPUHUB_VOLUMES": json.dumps(dict.fromkeys(paths, str(folder)))}


def _cpu_count(config: Mapping[str, Any]) -> int:
    cpus = config.get("cpu")
    return int(cpus[0]["vcpuCount"]) if cpus else 8
