"""Decides what kind of machine runs a replica, and makes it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator.containers import container_env, make_folders
from gpuhub.testing.emulator.processes import free_port
from gpuhub_baseten.emulator.machines.forked import ForkedMachine
from gpuhub_baseten.emulator.machines.inline import InlineMachine
from gpuhub_baseten.emulator.machines.kinds import Machine, Order
from gpuhub_baseten.emulator.machines.process import ProcessMachine
from gpuhub_baseten.emulator.machines.truss import truss_machine, truss_python

if TYPE_CHECKING:
    from gpuhub_baseten.emulator.site import Site
    from gpuhub_baseten.emulator.state import Deployment, Replica

__all__ = ["Workshop"]

_PLACES = re.compile(r"(?<![\w/.])/(app|packages)\b")


class Workshop:
    """Makes machines.

    Args:
        site: What all parts share.
        folder: For homes and temporary files of the replicas.

    Attributes:
        played: Python functions that stand for models, by the model's name.
    """

    def __init__(self, site: Site, folder: Path) -> None:
        self._site = site
        self._folder = folder
        self.played: dict[str, Callable[[Any], Any]] = {}

    def open(self) -> None:
        """Make the folders; whoever made this removes them.

        Raises:
            TrussMissing: Truss's own server is asked for and there is no Python for it.
        """
        if self._site.options.workers == "truss":
            truss_python(self._site.options.truss_python)
        make_folders(self._folder, "home", "tmp", "images")

    def make(
        self, deployment: Deployment, replica: Replica, exited: Callable[[int], None]
    ) -> Machine:
        """Make the machine of a replica, not yet started."""
        config = deployment.config
        if (played := self.played.get(config.model_name or "")) is not None:
            return InlineMachine(played)
        environment = deployment.environment
        image = deployment.image or self._folder
        order = Order(
            image=image,
            config=config.filled(),
            env={**config.environment_variables, **self._platform(deployment, replica)},
            secrets={
                name: self._site.secrets[name]
                for name in config.secrets
                if name in self._site.secrets
            },
            environment=environment.name if environment is not None else None,
            log=replica.output.path,
            exited=exited,
        )
        if config.docker_server is not None:
            return self._docker_server(order, deployment)
        if self._site.options.workers == "truss":
            return truss_machine(order, truss_python(self._site.options.truss_python))
        return ForkedMachine(order)

    def _platform(self, deployment: Deployment, replica: Replica) -> dict[str, str]:
        """What a container has by itself; ``PORT`` and ``HOSTNAME`` cannot be changed."""
        own = container_env(self._folder, self._python())
        return {**own, "HOSTNAME": f"{deployment.id}-{replica.id}", "PORT": "8080"}

    def _python(self) -> Path:
        if self._site.options.workers == "truss":
            return truss_python(self._site.options.truss_python)
        return Path(sys.executable)

    def _docker_server(self, order: Order, deployment: Deployment) -> ProcessMachine:
        """A container with a server of its own: its command, with places and port of this machine.

        Secrets are variables, which Truss's server would read, too: there is no ``/secrets`` here.
        """
        server = deployment.config.docker_server
        command = (server.start_command if server is not None else None) or "false"
        port = free_port()
        if server is not None:
            command = re.sub(rf"\b{server.server_port}\b", str(port), command)
        command = self._here(command, order.image)
        env = {name: self._here(text, order.image) for name, text in order.env.items()}
        env |= {f"TRUSS_SECRET_{name}": value for name, value in order.secrets.items()}
        folder = order.image / "app"
        return ProcessMachine(["sh", "-c", command], env, folder, order.log, port, order.exited)

    def _here(self, text: str, image: Path) -> str:
        return _PLACES.sub(lambda match: str(image / match[1]), text)
