"""Facts about Replicate, its settings, and how they make an adapter."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gpuhub.adapter import AdapterInfo, Limits, Origin
from gpuhub.settings import Credential, SettingKey
from gpuhub_replicate.adapter import ReplicateAdapter
from gpuhub_replicate.capabilities import capabilities
from gpuhub_replicate.defaults import Defaults
from gpuhub_replicate.errors import ERRORS, read_error

if TYPE_CHECKING:
    from gpuhub.settings import ProviderSettings

__all__ = ["INFO", "create"]

_KEYS = (
    SettingKey("api_url", help="base URL of the HTTP API, with /v1"),
    SettingKey("registry_url", default="https://r8.im", help="base URL of the image registry"),
    SettingKey("stream_url", help="base URL of the event streams"),
    SettingKey("delivery_url", default="https://replicate.delivery", help="where outputs lie"),
    SettingKey("owner", help="account that owns models and deployments; default: the token's"),
    SettingKey(
        "base_image",
        default="cog-base:python{python}",
        help="image of CPU functions that name none; {python} is the version",
    ),
    SettingKey(
        "gpu_base_image",
        default="cog-base:cuda12.4-python{python}",
        help="image of GPU functions that name none",
    ),
    SettingKey("mode", default="push", help='"push" (no Docker) or "cog" (Cog\'s CLI and Docker)'),
    SettingKey(
        "cog_runtime",
        default="wheels",
        help='Cog in a layer of its own ("wheels"), or in the base image ("base")',
    ),
    SettingKey(
        "secrets_in_image",
        bool,
        default=False,
        help="allow values of local secrets in images, where whoever may pull them reads them",
    ),
    SettingKey("run_limit", float, 1800.0, help="longest run Replicate allows the account, s"),
    SettingKey("output_folder", help="folder that files of hosted models are saved in"),
)

_AUTHORIZATION = {"Authorization": "Bearer {api_token}"}

INFO = AdapterInfo(
    name="replicate",
    title="Replicate",
    docs_url="https://replicate.com/docs/reference/http",
    credentials=(
        Credential(
            "api_token",
            "REPLICATE_API_TOKEN",
            help="make a token at replicate.com/account/api-tokens",
        ),
        Credential(
            "registry_token",
            "COG_TOKEN",
            required=False,
            help="take the command-line token of replicate.com/auth/token",
        ),
    ),
    settings={key.name: key for key in _KEYS},
    origins=(
        Origin("api", "api_url", "https://api.replicate.com/v1", _AUTHORIZATION),
        # Logins there are the registry protocol's, see ``pushing``.
        Origin("registry", "registry_url", "https://r8.im"),
        Origin("stream", "stream_url", "https://streaming.api.replicate.com", _AUTHORIZATION),
        Origin("delivery", "delivery_url", "https://replicate.delivery"),
    ),
    # "Predictions run for up to 30 minutes" (documentation, read 2026-11-20); sizes of inputs and
    # outputs are not published, nor are lengths of names.
    limits=Limits(timeout_s=1800.0, name_length=64),
    schemes=("replicate", "replicate-deployment"),
    errors=ERRORS,
    read_error=read_error,
    extra="",
    # ``Prefer: wait`` takes up to 60 s.
    long_poll_s=60.0,
)


def create(settings: ProviderSettings) -> ReplicateAdapter:
    """Make an adapter; needs no credentials yet.

    Raises:
        ConfigError: A setting is out of range.
    """
    defaults = Defaults.of(settings)
    support = capabilities(mode=defaults.mode, secrets_in_image=defaults.secrets_in_image)
    limits = replace(INFO.limits, timeout_s=defaults.run_limit)
    return ReplicateAdapter(replace(INFO, limits=limits), support, defaults)
