"""What RunPod's own client is asked to do; a script for an environment that has it.

Reads one JSON document, ``{"steps": [[name, arguments…], …]}``, from standard input and prints one:
the result of each step. Standard library and ``runpod`` only.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

import runpod

runpod.api_key = os.environ["RUNPOD_API_KEY"]


class Steps:
    """One method for each thing to do."""

    def version(self):
        return runpod.__version__

    def run_sync(self, endpoint, given):
        return runpod.Endpoint(endpoint).run_sync(given, timeout=60)

    def run(self, endpoint, given):
        job = runpod.Endpoint(endpoint).run(given)
        seen = [job.status()]
        return {"id": job.job_id, "output": job.output(timeout=60), "first": seen[0]}

    def stream(self, endpoint, given):
        return list(runpod.Endpoint(endpoint).run(given).stream())

    def cancel(self, endpoint, given):
        job = runpod.Endpoint(endpoint).run(given)
        answer = job.cancel(timeout=60)
        return {"answer": answer["status"], "status": job.status()}

    def failed(self, endpoint, given):
        job = runpod.Endpoint(endpoint).run(given)
        return {"output": job.output(timeout=60), "status": job.status()}

    def health(self, endpoint):
        return runpod.Endpoint(endpoint).health(timeout=60)

    def purge(self, endpoint):
        return runpod.Endpoint(endpoint).purge_queue(timeout=60)

    def unauthorized(self, endpoint):
        try:
            runpod.Endpoint(endpoint, api_key="wrong").run({"x": 1})
        except RuntimeError as error:
            return str(error)

    def async_run(self, endpoint, given):
        import aiohttp

        async def work():
            async with aiohttp.ClientSession() as session:
                job = await runpod.AsyncioEndpoint(endpoint, session).run(given)
                return await job.output(timeout=60)

        return asyncio.run(work())

    def timed(self, endpoint, given, count):
        client = runpod.Endpoint(endpoint)
        client.run_sync(given)
        began = time.perf_counter()
        for _ in range(count):
            client.run_sync(given)
        return (time.perf_counter() - began) / count

    # What only version 2 does over REST v2

    def create_template(self, **fields):
        return runpod.create_template(**fields)

    def create_endpoint(self, **fields):
        return runpod.create_endpoint(**fields)

    def get_endpoints(self):
        return runpod.get_endpoints()

    def get_gpus(self):
        return runpod.get_gpus()

    def save_endpoint(self, **fields):
        from runpod.apps.api import AppsApiClient

        return asyncio.run(AppsApiClient().save_endpoint(fields))

    def endpoint_workers(self, endpoint):
        from runpod.apps.api import AppsApiClient

        return asyncio.run(AppsApiClient().endpoint_workers(endpoint))

    def delete_endpoint(self, endpoint):
        from runpod.apps.api import AppsApiClient

        return asyncio.run(AppsApiClient().delete_endpoint(endpoint))


def main():
    """Do the steps."""
    steps = Steps()
    results = []
    for name, *arguments in json.load(sys.stdin)["steps"]:
        method = getattr(steps, name)
        if len(arguments) == 1 and isinstance(arguments[0], dict) and name in KEYWORDS:
            results.append(method(**arguments[0]))
        else:
            results.append(method(*arguments))
    json.dump(results, sys.stdout)


KEYWORDS = ("create_template", "create_endpoint", "save_endpoint")

if __name__ == "__main__":
    main()
