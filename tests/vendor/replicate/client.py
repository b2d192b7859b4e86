"""What Replicate's own client is asked to do; a script for an environment that has it.

Reads one JSON document, ``{"steps": [[name, arguments…], …]}``, from standard input and prints one:
the result of each step. Standard library and ``replicate`` only.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from importlib import metadata

from replicate.client import Client
from replicate.exceptions import ModelError, ReplicateError
from replicate.helpers import FileOutput
from replicate.webhook import Webhooks, WebhookSigningSecret

CLIENT = Client(
    api_token=os.environ["REPLICATE_API_TOKEN"], base_url=os.environ["REPLICATE_BASE_URL"]
)


def plain(value):
    """Give a result as JSON."""
    if isinstance(value, FileOutput):
        return {"file": value.url}
    if hasattr(value, "dict"):
        return json.loads(json.dumps(value.dict(), default=str))
    if isinstance(value, str | int | float | bool | dict | list | None):
        return [plain(each) for each in value] if isinstance(value, list) else value
    return [plain(each) for each in value]  # an iterator


class Steps:
    """One method for each thing to do."""

    def version(self):
        return metadata.version("replicate")

    # Running

    def run(self, reference, given, **params):
        return {"output": plain(CLIENT.run(reference, input=given, **params))}

    def run_failing(self, reference, given):
        try:
            CLIENT.run(reference, input=given)
        except ModelError as error:
            return {"error": str(error), "prediction": plain(error.prediction)}

    def async_run(self, reference, given):
        return plain(asyncio.run(CLIENT.async_run(reference, input=given)))

    def stream(self, reference, given):
        return [[event.event.value, event.data] for event in CLIENT.stream(reference, input=given)]

    def stream_failing(self, prediction):
        events = []
        try:
            for event in CLIENT.predictions.get(prediction).stream():
                events.append(event.data)  # noqa: PERF401 - what came before the error stays
        except RuntimeError as error:
            return {"events": events, "error": str(error)}

    # Predictions

    def create(self, **params):
        return plain(CLIENT.predictions.create(**params))

    def wait(self, prediction):
        found = CLIENT.predictions.get(prediction)
        found.wait()
        return plain(found)

    def get(self, prediction):
        return plain(CLIENT.predictions.get(prediction))

    def get_failing(self, prediction):
        try:
            CLIENT.predictions.get(prediction)
        except Exception as error:  # noqa: BLE001 - which one, is the question
            return {"type": type(error).__name__, "text": str(error)}

    def cancel(self, prediction):
        return plain(CLIENT.predictions.cancel(prediction))

    def list(self):
        page = CLIENT.predictions.list()
        return {"next": page.next, "ids": [each.id for each in page.results]}

    def refused(self, **params):
        try:
            CLIENT.predictions.create(**params)
        except ReplicateError as error:
            return {"status": error.status, "title": error.title, "detail": error.detail}

    # Deployments and models

    def create_deployment(self, **params):
        return plain(CLIENT.deployments.create(**params))

    def get_deployment(self, path):
        return plain(CLIENT.deployments.get(path))

    def list_deployments(self):
        return [each.id for each in CLIENT.deployments.list()]

    def update_deployment(self, path, **params):
        owner, name = path.split("/")
        found = CLIENT.deployments.update(deployment_owner=owner, deployment_name=name, **params)
        return plain(found)

    def delete_deployment(self, path):
        owner, name = path.split("/")
        try:
            return CLIENT.deployments.delete(owner, name)
        except ReplicateError as error:
            return {"status": error.status, "detail": error.detail}

    def predict(self, path, given, **params):
        found = CLIENT.deployments.get(path).predictions.create(input=given, **params)
        found.wait()
        return plain(found)

    def create_model(self, owner, name, **params):
        return plain(CLIENT.models.create(owner, name, **params))

    def get_model(self, path):
        return plain(CLIENT.models.get(path))

    def versions(self, path):
        return [each.id for each in CLIENT.models.get(path).versions.list()]

    def hardware(self):
        return [each.sku for each in CLIENT.hardware.list()]

    def account(self):
        return plain(CLIENT.accounts.current())

    # Files and webhooks

    def upload(self, path):
        return plain(CLIENT.files.create(path))

    def list_files(self):
        return [each.id for each in CLIENT.files.list()]

    def delete_file(self, file):
        return CLIENT.files.delete(file)

    def secret(self):
        return CLIENT.webhooks.default.secret().key

    def validate(self, headers, body, key):
        secret = WebhookSigningSecret(key=key)
        Webhooks.validate(headers=headers, body=body, secret=secret)
        return True


def main():
    """Do the steps; the last argument may be keywords."""
    steps = Steps()
    results = []
    for name, *arguments in json.load(sys.stdin)["steps"]:
        keywords = arguments.pop() if arguments and name.endswith("**") else {}
        results.append(getattr(steps, name.removesuffix("**"))(*arguments, **keywords))
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
