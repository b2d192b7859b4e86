# ruff: noqa: BLE001 - what a client raises is a result here
"""What Baseten's own clients are asked to do; a script for an environment that has them.

Reads one JSON document, ``{"steps": [[name, arguments…], …]}``, from standard input and prints one:
the result of each step. ``truss``, ``baseten`` and ``botocore`` only.
"""

from __future__ import annotations

import json
import os
import sys
import tarfile
import time
from pathlib import Path

URL = os.environ["EMULATOR_URL"]
KEY = os.environ["BASETEN_API_KEY"]
COUNT_S = 60.0


class Steps:
    """One method for each thing to do."""

    def __init__(self):
        self.pushed = None

    # truss

    def push(self, folder, **options):
        import truss
        from truss.remote.baseten import api

        # The REST address of a remote that it does not know falls back to the real host.
        api.API_URL_MAPPING[URL] = URL
        self.pushed = truss.push(folder, **options)
        return [self.pushed.model_id, self.pushed.model_deployment_id]

    def wait_for_active(self):
        return self.pushed.wait_for_active(timeout_seconds=60)

    def predict(self, body):
        return self.pushed._baseten_service.predict(body)

    def refused_push(self, folder, **options):
        try:
            return self.push(folder, **options)
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    def check(self, folder):
        from truss.base.truss_config import TrussConfig

        config = TrussConfig.from_yaml(Path(folder) / "config.yaml")
        config.validate_forbid_extra()
        return config.to_dict(verbose=False)

    def normal(self, document):
        """A configuration as truss itself writes it down."""
        from truss.base.truss_config import TrussConfig

        return TrussConfig.from_dict(document).to_dict()

    def check_all(self, texts):
        from truss.base.truss_config import TrussConfig

        found = []
        for text in texts:
            place = Path(os.environ["HOME"]) / "config.yaml"
            place.write_text(text)
            try:
                TrussConfig.from_yaml(place).validate_forbid_extra()
                found.append("")
            except Exception as error:
                found.append(str(error) or type(error).__name__)
        return found

    def archived(self, folder):
        """Names that truss packs of a folder."""
        from truss.remote.baseten.core import archive_dir

        with archive_dir(Path(folder)) as packed, tarfile.open(packed.name) as tar:
            return sorted(member.name for member in tar if member.isfile())

    def ignored(self):
        from truss.util.path import load_trussignore_patterns

        return load_trussignore_patterns()

    def accelerators(self):
        from truss.base.truss_config import Accelerator

        return sorted(each.value for each in Accelerator)

    def config_members(self):
        from truss.base.truss_config import TrussConfig

        return sorted(TrussConfig.model_fields)

    # baseten

    def sdk_push(self, name, archive, deployment):
        """The way of the REST API, with the official client and a signature of botocore's."""
        from baseten.client.managementapi import _models as models

        with self._management() as client:
            payload = models.DeploymentArchivePayload(**deployment)
            made = client.api.post_prepare_model_upload(
                request=models.PrepareModelUploadRequest(name=name, deployment=payload)
            )
            _put(made, Path(archive).read_bytes())
            source = models.ModelArchiveSource(name=name, s3_key=made.s3_key, deployment=payload)
            # `kind` has a default, and only what was set is sent
            source.kind = "model_archive"
            created = client.api.post_models(request=models.CreateModelRequest(source=source))
        self.model, self.deployment = created.model.id, created.deployment.id
        return [self.model, self.deployment]

    def sdk_wait(self, wanted="ACTIVE"):
        ends = time.monotonic() + COUNT_S
        with self._management() as client:
            while True:
                found = client.api.get_models_deployments_deployment_id(
                    model_id=self.model, deployment_id=self.deployment
                )
                if found.status == wanted or time.monotonic() > ends:
                    return found.model_dump(mode="json")
                time.sleep(0.02)

    def sdk_use(self, model, deployment):
        self.model, self.deployment = model, deployment

    def sdk_environment(self, name="production"):
        with self._management() as client:
            found = client.api.get_models_environments_env_name(model_id=self.model, env_name=name)
            return found.model_dump(mode="json")

    def sdk_scale(self, limits, environment="production"):
        from baseten.client.managementapi import _models as models

        with self._management() as client:
            sent = models.UpdateEnvironmentRequest(
                autoscaling_settings=models.UpdateAutoscalingSettings(**limits)
            )
            found = client.api.patch_models_environments(
                model_id=self.model, env_name=environment, request=sent
            )
            return found.model_dump(mode="json")

    def sdk_promote(self, deployment, environment="production"):
        from baseten.client.managementapi import _models as models

        with self._management() as client:
            sent = models.PromoteToEnvironmentRequest(
                deployment_id=deployment,
                scale_down_previous_deployment=True,
                preserve_env_instance_type=False,
            )
            found = client.api.post_models_environments_promote(
                model_id=self.model, env_name=environment, request=sent
            )
            return found.model_dump(mode="json")

    def sdk_logs(self, start, end):
        from baseten.client.managementapi import _models as models

        with self._management() as client:
            sent = models.GetDeploymentLogsRequest(
                start_epoch_millis=start, end_epoch_millis=end, direction="asc", limit=1000
            )
            found = client.api.post_models_deployments_logs(
                model_id=self.model, deployment_id=self.deployment, request=sent
            )
            return [each.message for each in found.logs]

    def sdk_call(self, method, **arguments):
        """Call any method of the management client whose arguments are plain."""
        with self._management() as client:
            found = getattr(client.api, method)(**arguments)
            return found.model_dump(mode="json")

    def sdk_startups(self, start, end):
        from baseten.client.managementapi import _models as models

        with self._management() as client:
            params = models.GetModelsDeploymentsStartupsSummaryParams(
                start_epoch_millis=start, end_epoch_millis=end
            )
            found = client.api.get_models_deployments_startups_summary(
                model_id=self.model, deployment_id=self.deployment, params=params
            )
            return found.model_dump(mode="json")

    def sdk_secret(self, name, value):
        from baseten.client.managementapi import _models as models

        with self._management() as client:
            sent = models.UpsertSecretRequest(name=name, value=value)
            return client.api.post_secrets(request=sent).model_dump(mode="json")

    def sdk_predict(self, body, environment="production"):
        with self._inference() as client:
            return client.api.predict(env_name=environment, request=body).model_dump(mode="json")

    def sdk_predict_production(self, body):
        with self._inference() as client:
            return client.api.predict_production(request=body).model_dump(mode="json")

    def sdk_refused_predict(self, body):
        with self._inference() as client:
            try:
                return client.api.predict_production(request=body).model_dump(mode="json")
            except Exception as error:
                return f"{type(error).__name__}: {error}"

    def sdk_wake(self):
        with self._inference() as client:
            client.api.wake_production()

    def sdk_async(self, body, webhook=None):
        from baseten.client.inferenceapi import _models as models

        given = {"model_input": body}
        if webhook:
            given["webhook_endpoint"] = webhook
        ends = time.monotonic() + COUNT_S
        with self._inference() as client:
            made = client.api.async_predict_production(request=models.AsyncPredictRequest(**given))
            while True:
                found = client.api.get_async_request_status(request_id=made.request_id)
                over = found.status not in ("QUEUED", "IN_PROGRESS")
                if over or time.monotonic() > ends:
                    return found.model_dump(mode="json")
                time.sleep(0.06)

    def _management(self):
        from baseten.client import ManagementClient

        return ManagementClient(api_key=KEY, base_url_override=URL)

    def _inference(self):
        from baseten.client import InferenceClient

        return InferenceClient(api_key=KEY, base_url_override=f"{URL}/model-{self.model}")


def _put(made, content):
    """PUT an archive, signed by botocore."""
    import httpx
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    creds = made.creds
    url = f"{URL}/{made.s3_bucket}/{made.s3_key}"
    request = AWSRequest("PUT", url, data=content)
    keys = (creds.aws_access_key_id, creds.aws_secret_access_key, creds.aws_session_token)
    S3SigV4Auth(Credentials(*keys), "s3", made.s3_region).add_auth(request)
    httpx.put(url, content=content, headers=dict(request.headers), timeout=60).raise_for_status()


def main():
    """Do the steps."""
    steps = Steps()
    results = []
    for name, *arguments in json.load(sys.stdin)["steps"]:
        method = getattr(steps, name)
        named = arguments.pop() if arguments and _is_named(arguments[-1]) else {}
        results.append(method(*arguments, **named.get("**", {})))
    json.dump(results, sys.stdout)


def _is_named(value):
    """Whether an argument holds keyword arguments: ``{"**": {…}}``."""
    return isinstance(value, dict) and set(value) == {"**"}


if __name__ == "__main__":
    main()
