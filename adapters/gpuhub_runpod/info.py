"""Facts about RunPod, its settings, and how they make an adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuhub.adapter import AdapterInfo, Limits, Origin
from gpuhub.settings import Credential, SettingKey
from gpuhub_runpod.adapter import RunpodAdapter
from gpuhub_runpod.capabilities import capabilities
from gpuhub_runpod.defaults import Defaults
from gpuhub_runpod.errors import ERRORS, read_error

if TYPE_CHECKING:
    from gpuhub.settings import ProviderSettings

__all__ = ["INFO", "create"]

_KEYS = (
    SettingKey("api_url", help="base URL of the control plane (REST v2)"),
    SettingKey("data_url", help="base URL of the data plane, where jobs are sent"),
    SettingKey("inline_bundle_limit", int, 200_000, help="largest packed code sent in env, bytes"),
    SettingKey(
        "gpu_image",
        default="runpod/queue-gpu:py{python}-latest",
        help="image of GPU functions that name none; {python} is the version",
    ),
    SettingKey(
        "cpu_image",
        default="runpod/queue:py{python}-latest",
        help="image of CPU functions that name none",
    ),
    SettingKey("web_image", default="python:{python}-slim", help="the same for CPU web functions"),
    SettingKey("prefetch", int, 100, help="most jobs a worker holds while jobs are short"),
    SettingKey("flashboot", bool, default=False, help="FlashBoot where snapshot is not set"),
    SettingKey(
        "local_secrets_in_env",
        bool,
        default=False,
        help="allow values of local secrets as environment variables, which are readable",
    ),
    SettingKey("registry", help="repository for larger code, such as docker.io/me/workers"),
    SettingKey("registry_username", help="user of the registry"),
    SettingKey("registry_insecure", bool, default=False, help="plain HTTP to the registry"),
    SettingKey("registry_auth_id", help="RunPod's credential id to pull from the registry"),
)

_AUTHORIZATION = {"Authorization": "Bearer {api_key}"}

# "Payload limits" of /run (10 MB) and /runsync (20 MB), "Execution policies" (7 days): RunPod's
# documentation, read 2026-11-20. The wrapper around the arguments is ours: 4 kB are kept for it.
# Name: at most 191 characters in REST v1; v2 gives no limit.
_WRAPPER = 4_000

INFO = AdapterInfo(
    name="runpod",
    title="RunPod",
    docs_url="https://docs.runpod.io/serverless",
    credentials=(
        Credential(
            "api_key", "RUNPOD_API_KEY", help="make a key in the console, Settings > API keys"
        ),
        Credential(
            "registry_password",
            "RUNPOD_REGISTRY_PASSWORD",
            required=False,
            help="use a token of the registry that may push",
        ),
    ),
    settings={key.name: key for key in _KEYS},
    origins=(
        Origin("api", "api_url", "https://api.runpod.io/v2", _AUTHORIZATION),
        Origin("data", "data_url", "https://api.runpod.ai/v2", _AUTHORIZATION),
    ),
    limits=Limits(
        payload_bytes=20_000_000 - _WRAPPER,
        spawn_payload_bytes=10_000_000 - _WRAPPER,
        result_bytes=20_000_000,
        timeout_s=7 * 86_400,
        name_length=191,
    ),
    errors=ERRORS,
    read_error=read_error,
    web_origin="data",
    extra="",
    # /runsync takes up to 300 s; its default of 90 s stays below what proxies on the way cut.
    long_poll_s=90.0,
)


def create(settings: ProviderSettings) -> RunpodAdapter:
    """Make an adapter; needs no credentials yet.

    Raises:
        ConfigError: A setting is out of range.
    """
    support = capabilities(local_secrets_in_env=settings["local_secrets_in_env"])
    return RunpodAdapter(INFO, support, Defaults.of(settings))
