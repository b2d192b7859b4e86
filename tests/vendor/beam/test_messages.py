"""The emulator's strict messages against those of the SDK, field by field."""

from __future__ import annotations

import pytest

from gpuhub_beam.emulator import bodies

pytestmark = [pytest.mark.sdk, pytest.mark.slow]

PAIRS = {
    "gateway:GetOrCreateStubRequest": bodies.GetOrCreateStub,
    "gateway:DeployStubRequest": bodies.DeployStub,
    "gateway:CreateObjectRequest": bodies.CreateObject,
    "gateway:CompleteObjectUploadRequest": bodies.CompleteObjectUpload,
    "gateway:CreateObjectDeltaRequest": bodies.CreateObjectDelta,
    "gateway:CommitObjectDeltaRequest": bodies.CommitObjectDelta,
    "gateway:ObjectMetadata": bodies.ObjectMetadata,
    "gateway:ObjectUploadedPart": bodies.UploadedPart,
    "gateway:Autoscaler": bodies.Autoscaler,
    "gateway:TaskPolicy": bodies.TaskPolicy,
    "gateway:SecretVar": bodies.SecretVar,
    "gateway:Volume": bodies.Volume,
    "gateway:ScaleDeploymentRequest": bodies.ScaleDeployment,
    "gateway:StopTasksRequest": bodies.StopTasks,
    "types:MountPointConfig": bodies.MountPointConfig,
    "image:VerifyImageBuildRequest": bodies.VerifyImageBuild,
    "image:BuildImageRequest": bodies.BuildImage,
    "image:BuildStep": bodies.BuildStep,
    "volume:GetOrCreateVolumeRequest": bodies.GetOrCreateVolume,
}


def test_every_message_has_the_fields_of_the_sdks(vendor):
    """No more and no fewer."""
    (theirs,) = vendor.do(["fields", *PAIRS])
    mine = {name: sorted(model.model_fields) for name, model in PAIRS.items()}
    assert mine == theirs


def test_it_is_the_version_that_was_read(vendor):
    """Or a later one."""
    (version,) = vendor.do(["version"])
    assert tuple(int(part) for part in version.split(".")) >= (0, 1, 291)
