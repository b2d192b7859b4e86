"""The two sides that are compared: a vendor's client in a process of its own, and gpuhub."""

from __future__ import annotations

import json
import os
import subprocess

from gpuhub._function import function
from gpuhub._web import web
from gpuhub.endpoint import Endpoint
from gpuhub.workspace import Workspace


def run_client(command, environ, steps, **options):
    """Have a client do some steps; give what it prints.

    Args:
        command: An interpreter and a ``client.py``.
        environ: All that its environment has, beside PATH.
        steps: ``[name, arguments…]`` of each.
        options: Of ``subprocess.run``.
    """
    done = subprocess.run(
        command,
        input=json.dumps({"steps": steps}),
        env={"PATH": os.defpath, **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Vendor:
    """A vendor's client, in a process of its own."""

    def __init__(self, command, environ):
        self._command = command
        self._environ = environ

    def do(self, *steps):
        """Do some steps; give their results."""
        return json.loads(run_client(self._command, self._environ, steps).splitlines()[-1])


class Ours:
    """gpuhub on the same emulator."""

    def __init__(self, workspace, project):
        self.workspace = workspace
        self.project = project

    def function(self, name, /, **settings):
        """Decorate a function of the contract's project."""
        target = getattr(self.project.functions, name)
        return function(**settings)(target).in_workspace(self.workspace)

    def deploy(self, name, /, **settings):
        """Deploy a function of the contract's project; give its endpoint."""
        return self.function(name, **settings).deploy()

    def deploy_web(self, name, /, **settings):
        """Deploy a web application of the contract's project; give its endpoint."""
        target = getattr(self.project.functions, name)
        return web(**settings)(target).in_workspace(self.workspace).deploy()

    def connect(self, address):
        """Connect to what somebody else deployed."""
        return Endpoint.connect(address, workspace=self.workspace)


def workspace_on(emulator, adapter, project, environ, folder):
    """Open a workspace on an emulator; who asks closes it.

    Args:
        emulator: The provider, which may be started already.
        adapter: Its adapter's package.
        project: The contract's.
        environ: Credentials.
        folder: Where the state is kept.
    """
    name, known = adapter.INFO.name, adapter.INFO.settings
    return Workspace(
        name,
        app="contract",
        root=project.root,
        provider_options={key: url for key, url in emulator.start().items() if key in known},
        adapters={name: adapter},
        environ={**environ, "GPUHUB_STATE_DIR": str(folder)},
    )
