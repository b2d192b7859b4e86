"""Facts about Beam, its settings, and how they make an adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuhub.adapter import AdapterInfo, Limits, Origin
from gpuhub.settings import Credential, SettingKey
from gpuhub_beam.adapter import BeamAdapter
from gpuhub_beam.calls import QUEUE_LIMIT
from gpuhub_beam.capabilities import CAPABILITIES
from gpuhub_beam.defaults import Defaults
from gpuhub_beam.errors import ERRORS, read_error
from gpuhub_beam.gateway import Gateway
from gpuhub_beam.schedule import Scheduler, grpc_address

if TYPE_CHECKING:
    from gpuhub.settings import ProviderSettings

__all__ = ["HOSTED", "INFO", "create"]

HOSTED = "https://app.beam.cloud"
"""Hosted Beam; a self-hosted gateway listens on port 1994."""

_KEYS = (
    SettingKey("gateway_url", help="base URL of the gateway; http://HOST:1994 for your own beta9"),
    SettingKey("grpc_url", help="where it speaks gRPC, for schedules; default: port 1993 there"),
    SettingKey("workspace", help="external id of the workspace; default: the token's, asked for"),
    SettingKey("cpu", float, 1.0, help="cores of functions that name none"),
    SettingKey("memory", int, 1024, help="MiB of CPU functions that name none"),
    SettingKey("gpu_memory", int, 8192, help="MiB of GPU functions that name none"),
    SettingKey("max_replicas", int, 10, help="most containers the gateway starts for a version"),
    SettingKey("max_pending_tasks", int, 1000, help="calls that may wait or run; more get 429"),
)

# A name goes into a host name, https://NAME-1234567-v1.app.beam.cloud: 63 characters with the rest.
_NAME_LENGTH = 55

INFO = AdapterInfo(
    name="beam",
    title="Beam",
    docs_url="https://docs.beam.cloud",
    credentials=(
        Credential(
            "token",
            "BEAM_TOKEN",
            help="make a token in the dashboard, or take the one of your own gateway (BETA9_TOKEN)",
        ),
    ),
    settings={key.name: key for key in _KEYS},
    origins=(Origin("api", "gateway_url", HOSTED, {"Authorization": "Bearer {token}"}),),
    limits=Limits(spawn_payload_bytes=QUEUE_LIMIT, name_length=_NAME_LENGTH),
    errors=ERRORS,
    read_error=read_error,
    web_origin="api",
    extra="",
    long_poll_s=30.0,
)


def create(settings: ProviderSettings) -> BeamAdapter:
    """Make an adapter; needs no credentials yet.

    Raises:
        ConfigError: A setting is out of range.
    """
    url = settings.get("gateway_url", HOSTED)
    gateway = Gateway(url, settings.get("workspace", ""))
    grpc_url = settings.get("grpc_url") or grpc_address(url, HOSTED)
    scheduler = Scheduler(grpc_url, lambda: settings.credential("token"))
    defaults = Defaults.of(settings, is_hosted=url.rstrip("/") == HOSTED)
    return BeamAdapter(INFO, CAPABILITIES, defaults, gateway, scheduler)
