"""Facts about Baseten, its settings, and how they make an adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuhub.adapter import AdapterInfo, Limits, Origin
from gpuhub.settings import Credential, SettingKey
from gpuhub_baseten.adapter import BasetenAdapter
from gpuhub_baseten.capabilities import CAPABILITIES
from gpuhub_baseten.defaults import MODEL_URL, PRODUCTION, Defaults
from gpuhub_baseten.errors import ERRORS, read_error

if TYPE_CHECKING:
    from gpuhub.settings import ProviderSettings

__all__ = ["INFO", "create"]

_KEYS = (
    SettingKey("api_url", help="base URL of the management API"),
    SettingKey("model_url", help="base URL of a model's own address; {model_id} is its id"),
    SettingKey(
        "upload_url", help="base URL of the object store; {bucket} and {region} are the upload's"
    ),
    SettingKey(
        "environment", default=PRODUCTION, help="environment that functions are deployed to"
    ),
    SettingKey("team_id", help="team that new models belong to"),
)

_AUTHORIZATION = {"Authorization": "Bearer {api_key}"}

# "Limits" of Baseten's documentation, read 2026-11-24: bodies of 100 MB at the edge (taken as
# decimal, the smaller reading), a run of one hour for async_predict. Names: no limit is given.
INFO = AdapterInfo(
    name="baseten",
    title="Baseten",
    docs_url="https://docs.baseten.co",
    credentials=(
        Credential("api_key", "BASETEN_API_KEY", help="make a key in the workspace's settings"),
    ),
    settings={key.name: key for key in _KEYS},
    origins=(
        Origin("api", "api_url", "https://api.baseten.co", _AUTHORIZATION),
        Origin("model", "model_url", MODEL_URL, _AUTHORIZATION),
    ),
    limits=Limits(payload_bytes=100_000_000, timeout_s=3600, name_length=128),
    web_origin="model",
    errors=ERRORS,
    read_error=read_error,
    extra="",
    # A request is answered at the call's end: there is nothing to ask again for.
    long_poll_s=1230.0,
)


def create(settings: ProviderSettings) -> BasetenAdapter:
    """Make an adapter; needs no credentials yet.

    Raises:
        ConfigError: A setting cannot be used.
    """
    return BasetenAdapter(INFO, CAPABILITIES, Defaults.of(settings))
