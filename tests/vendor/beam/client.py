"""What beta9's own SDK is asked to do; a script for an environment that has it.

Runs in a project's folder. Reads one JSON document, ``{"steps": [[name, arguments…], …]}``, from
standard input and writes one to the file named as its argument: the result of each step. The SDK
itself prints to standard output.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))


class Steps:
    """One method for each thing to do."""

    def version(self):
        from importlib.metadata import version

        return version("beta9")

    def deploy(self, module, function, name):
        """Deploy a decorated function of the project."""
        wrapped = getattr(importlib.import_module(module), function)
        details, done = wrapped.deploy(name=name)
        return {"details": details, "done": done}

    def refused_deploy(self, module, function, name):
        """Deploy what is refused; give how the SDK says so."""
        try:
            return self.deploy(module, function, name)
        except BaseException as error:  # noqa: BLE001 - whatever it raises is looked at
            return {"raised": type(error).__name__, "words": str(error)}

    def object_hash(self, folder):
        """Give the id of a folder's content, as the SDK computes it."""
        import hashlib

        from beta9.sync import _Manifest, _ManifestEntry

        entries = {}
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                relative = path.relative_to(folder).as_posix()
                entries[relative] = _ManifestEntry(0, 0, digest, path.stat().st_mode & 0o777)
        return _Manifest(entries).hash()

    def upload(self, folder):
        """Upload a folder, as a deploy does; give the object's id."""
        from beta9.abstractions.base import get_channel
        from beta9.clients.gateway import GatewayServiceStub
        from beta9.sync import FileSyncer

        result = FileSyncer(GatewayServiceStub(get_channel()), root_dir=folder).sync()
        return {"done": result.success, "object": result.object_id}

    def part_size(self):
        """Give the size of a part."""
        from beta9.sync import MULTIPART_PART_SIZE

        return MULTIPART_PART_SIZE

    def fields(self, *names):
        """Give the fields of messages: ``module:Message``."""
        found = {}
        for name in names:
            module, _, message = name.partition(":")
            made = getattr(importlib.import_module(f"beta9.clients.{module}"), message)()
            found[name] = sorted(made._betterproto.meta_by_field_name)
        return found

    def submit(self, deployment, given):
        """Call a deployment through the SDK's client of deployments."""
        from beta9.client.client import Client

        client = Client(token=os.environ["BETA9_TOKEN"], api_url=os.environ["BETA9_API_URL"])
        answer = client.get_deployment_by_id(deployment).submit(input=given)
        if not hasattr(answer, "subscribe"):
            return {"answer": answer}
        seen = []
        result = answer.subscribe(event_handler=lambda task: seen.append(task["status"]))
        return {"task": answer.id, "seen": seen, "result": result, "status": answer.status().value}

    def stopped(self, deployment):
        """Stop a deployment over gRPC, as the SDK's command line does."""
        from beta9.abstractions.base import get_channel
        from beta9.clients.gateway import GatewayServiceStub, StopDeploymentRequest

        stub = GatewayServiceStub(get_channel())
        answer = stub.stop_deployment(StopDeploymentRequest(id=deployment))
        return {"ok": answer.ok, "words": answer.err_msg}


def main():
    """Do the steps."""
    steps = json.load(sys.stdin)["steps"]
    results = [getattr(Steps(), name)(*given) for name, *given in steps]
    Path(sys.argv[1]).write_text(json.dumps(results, default=str))


if __name__ == "__main__":
    main()
