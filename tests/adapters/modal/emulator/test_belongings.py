"""What a workspace keeps: secrets, volumes, mounts, images; and what containers see of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.modal.emulator.conftest import Laboratory


def variables() -> Callable[..., dict[str, str | None]]:
    """Give a closure that gives variables."""

    def it(*names: str) -> dict[str, str | None]:
        import os

        return {name: os.environ.get(name) for name in names}

    return it


def test_secrets_reach_the_container(lab: Laboratory) -> None:
    """By name, in the code, and as plain variables; the later one wins."""
    modal = lab.modal
    lab.emulator.set_secret("mine", {"NAMED": "from the workspace", "TWICE": "first"})
    secrets = [
        modal.Secret.from_name("mine", client=lab.client),
        modal.Secret.from_dict({"GIVEN": "in the code", "TWICE": "second"}),
    ]
    handle = lab.deploy(variables(), secrets=secrets, env={"PLAIN": "a = 'b'"})
    assert handle.remote("NAMED", "GIVEN", "TWICE", "PLAIN", "ABSENT") == {
        "NAMED": "from the workspace",
        "GIVEN": "in the code",
        "TWICE": "second",
        "PLAIN": "a = 'b'",
        "ABSENT": None,
    }


def test_values_of_secrets_are_nowhere(lab: Laboratory) -> None:
    """Neither in the record of requests nor in a repr."""
    hidden = "v4lue-nobody-may-see"
    lab.modal.Secret.objects.create("made", {"KEY": hidden}, client=lab.client)
    lab.deploy(variables(), secrets=[lab.modal.Secret.from_dict({"KEY": hidden})])
    texts = [repr(list(lab.emulator.requests)), repr(lab.emulator.store.secrets.all)]
    assert not any(hidden in text for text in texts)


def test_secrets_are_made_changed_and_deleted(lab: Laboratory) -> None:
    """A name is taken once."""
    secrets, client = lab.modal.Secret.objects, lab.client
    secrets.create("made", {"A": "1"}, client=client)
    with pytest.raises(lab.modal.exception.AlreadyExistsError):
        secrets.create("made", {"A": "2"}, client=client)
    secrets.create("made", {"A": "2"}, allow_existing=True, client=client)
    assert [each.name for each in secrets.list(client=client)] == ["made"]
    secrets.delete("made", client=client)
    assert secrets.list(client=client) == []


def test_containers_see_modals_variables(lab: Laboratory) -> None:
    """And nothing of the tests' own environment."""
    handle = lab.deploy(variables(), region="eu-west-1")
    seen = handle.remote("MODAL_TASK_ID", "MODAL_REGION", "MODAL_IS_REMOTE", "VIRTUAL_ENV")
    assert seen["MODAL_TASK_ID"].startswith("ta-")
    assert (seen["MODAL_REGION"], seen["MODAL_IS_REMOTE"]) == ("eu-west-1", "1")
    assert seen["VIRTUAL_ENV"] is None


def test_containers_see_modal_and_what_it_needs_only(lab: Laboratory) -> None:
    """Not gpuhub, not what the tests use."""

    def it(*names: str) -> list[str]:
        import importlib.util

        return [name for name in names if importlib.util.find_spec(name) is not None]

    handle = lab.deploy(it)
    assert handle.remote("modal", "grpclib", "gpuhub", "gpuhub_modal", "pydantic", "pytest") == [
        "modal",
        "grpclib",
    ]


def test_a_volume_is_shared(lab: Laboratory) -> None:
    """By all containers, and with the client."""

    def it(text: str) -> list[str]:
        import json
        import os
        from pathlib import Path

        folder = Path(json.loads(os.environ["GPUHUB_VOLUMES"])["/data"])
        (folder / text).write_text(text)
        return sorted(path.name for path in folder.iterdir())

    volume = lab.modal.Volume.from_name("shared", create_if_missing=True, client=lab.client)
    with volume.batch_upload() as batch:
        batch.put_file(_file(b"uploaded"), "given")
    handle = lab.deploy(it, volumes={"/data": volume}, single_use_containers=True)
    assert handle.remote("a") == ["a", "given"]
    assert handle.remote("b") == ["a", "b", "given"]
    assert sorted(entry.path for entry in volume.listdir("/")) == ["a", "b", "given"]
    assert b"".join(volume.read_file("given")) == b"uploaded"
    volume.remove_file("given")
    assert lab.modal.Volume.objects.list(client=lab.client)[0].name == "shared"
    lab.modal.Volume.objects.delete("shared", client=lab.client)
    assert lab.modal.Volume.objects.list(client=lab.client) == []


def test_a_bucket_is_a_folder(lab: Laboratory) -> None:
    """With the part of it that is asked for."""

    def it() -> str:
        import json
        import os

        return json.loads(os.environ["GPUHUB_VOLUMES"])["/bucket"]

    bucket = lab.modal.CloudBucketMount("mine", key_prefix="part/")
    folder = lab.deploy(it, volumes={"/bucket": bucket}).remote()
    assert Path(folder).parts[-2:] == ("mine", "part")


def test_modules_are_mounted(lab: Laboratory, tmp_path: Path, monkeypatch: Any) -> None:
    """A function of a module is imported from what was uploaded, once for each content."""
    (tmp_path / "lab_shop.py").write_text(
        "from pathlib import Path\n"
        "import lab_help\n"
        "def it():\n    return lab_help.WORD, Path(__file__).parent.name, Path.cwd().name\n"
    )
    (tmp_path / "lab_help.py").write_text("WORD = 'helped'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import lab_shop  # type: ignore[import-not-found]

    image = lab.modal.Image.debian_slim().add_local_python_source("lab_help")
    handle = lab.deploy(lab_shop.it, serialized=False, image=image)
    assert handle.remote() == ("helped", "root", "root")
    uploads = len(lab.sent("upload"))
    lab.deploy(lab_shop.it, serialized=False, image=image, timeout=77)
    later = lab.sent("upload")[uploads:]
    assert "/MountPutFile" not in later


def test_files_copied_into_an_image(lab: Laboratory, tmp_path: Path) -> None:
    """With its variables and its folder to start in."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "word.txt").write_text("copied")
    image = (
        lab.modal.Image.debian_slim()
        .env({"IMAGE_PLACE": "a place with 'marks'", "DATA": "/srv/app/data"})
        .add_local_dir(str(tmp_path / "data"), "/srv/app/data", copy=True)
        .workdir("/srv/app")
    )

    def it() -> tuple[str, str, bool]:
        import os
        from pathlib import Path

        text = Path("data/word.txt").read_text()
        return text, os.environ["IMAGE_PLACE"], Path(os.environ["DATA"], "word.txt").exists()

    assert lab.deploy(it, image=image).remote() == ("copied", "a place with 'marks'", True)


def test_an_image_is_built_once(lab: Laboratory) -> None:
    """And its log says so."""
    image = lab.modal.Image.debian_slim().pip_install("tinydb==4.8.2")
    lab.deploy(variables(), image=image)
    assert lab.sent("build log").count("/ImageJoinStreaming") == 2
    again = lab.modal.Image.debian_slim().pip_install("tinydb==4.8.2")
    lab.deploy(variables(), image=again, timeout=77)
    assert lab.sent("build log").count("/ImageJoinStreaming") == 2
    lines = [line for each in lab.emulator.store.images.images.values() for line in each.log]
    assert any("pip install tinydb==4.8.2" in line for line in lines)


def test_packages_of_an_image(lab: Laboratory) -> None:
    """Those that this Python has are there, with what they need; the others are not."""

    def it(*names: str) -> list[str]:
        import importlib.util

        return [name for name in names if importlib.util.find_spec(name) is not None]

    image = lab.modal.Image.debian_slim().pip_install("pydantic>=2", "no-such-package")
    handle = lab.deploy(it, image=image)
    asked = ("pydantic", "pydantic_core", "annotated_types", "no_such_package", "pytest")
    assert handle.remote(*asked) == ["pydantic", "pydantic_core", "annotated_types"]


def test_the_record_can_be_written_as_json(lab: Laboratory) -> None:
    """All of a deploy and a call."""
    lab.deploy(variables()).remote()
    recorded = [(each.operation, each.path, each.json) for each in lab.emulator.requests]
    assert json.loads(json.dumps(recorded))
    assert ("deploy", "/AppPublish") in {(operation, path) for operation, path, _ in recorded}


def _file(content: bytes) -> Any:
    import io

    return io.BytesIO(content)
