"""Images without Docker: append layers to a base image and push it over a registry's HTTP API.

A seam module: adapters may use it. Everything that touches the network is ``async def`` over the
:class:`~gpuhub.adapter.Io` that an adapter is given.
"""

from __future__ import annotations

from gpuhub.oci.credentials import RegistryCredentials, docker_credentials
from gpuhub.oci.images import Image, ImageChanges, append, fetch_image
from gpuhub.oci.layers import Layer, layer_from_files, layer_from_folder
from gpuhub.oci.push import PushedImage, PushProgress, push_image
from gpuhub.oci.reference import Reference
from gpuhub.oci.registry import Registry
from gpuhub.oci.wheels import wheels_layer

__all__ = [
    "Image",
    "ImageChanges",
    "Layer",
    "PushProgress",
    "PushedImage",
    "Reference",
    "Registry",
    "RegistryCredentials",
    "append",
    "docker_credentials",
    "fetch_image",
    "layer_from_files",
    "layer_from_folder",
    "push_image",
    "wheels_layer",
]
