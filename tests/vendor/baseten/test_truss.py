"""``truss.push`` and gpuhub push the same folder: what arrives is the same."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest

from gpuhub_baseten.emulator.archive import DROPPED, is_dropped
from gpuhub_baseten.emulator.config import ACCELERATORS, Config, read_config
from gpuhub_baseten.emulator.problems import Problem

pytestmark = [pytest.mark.sdk, pytest.mark.slow, pytest.mark.timeout(180)]

GOLDEN = Path(__file__).parents[2] / "adapters" / "baseten" / "golden"
PUBLISHED = {"**": {"model_name": "theirs", "publish": True}}


def members(archive):
    """Give the files of an archive."""
    with tarfile.open(archive) as tar:
        found = {each.name.removeprefix("./"): tar.extractfile(each) for each in tar}
        return {name: file.read() for name, file in found.items() if file is not None}


def test_both_push_the_same(emulator, vendor, ours, tmp_path):
    """The same files, the same configuration, the same kind of machine."""
    endpoint = ours.deploy("echo", gpu="L4", env={"A": 'b "c"'})
    folder = ours.unpacked(endpoint, tmp_path / "truss")
    made, active, output = vendor.do(
        ["push", str(folder), PUBLISHED],
        ["wait_for_active"],
        ["predict", {"value": [1, None]}],
    )
    assert active is True
    assert output == {"result": [1, None]}
    mine = ours.pushed(endpoint)
    theirs = emulator.model("theirs").production
    assert [theirs.model_id, theirs.id] == made
    assert members(theirs.archive) == members(mine.archive)
    one, other = vendor.do(
        *(["normal", each.config.model_dump(exclude_unset=True)] for each in (theirs, mine))
    )
    differing = {name for name in one if one[name] != other[name]}
    assert differing <= {"model_name"}, {name: (one[name], other[name]) for name in differing}
    assert theirs.instance == mine.instance


def test_the_client_asks_what_is_known(emulator, vendor, ours, tmp_path):
    """Its requests in their order: seven of GraphQL, an upload, then REST for the state."""
    folder = ours.unpacked(ours.deploy("echo"), tmp_path / "truss")
    mark = len(emulator.requests)
    vendor.do(["push", str(folder), PUBLISHED], ["wait_for_active"])
    sent = list(emulator.requests)[mark:]
    assert [each.operation for each in sent[:7]] == [*["graphql"] * 5, "put", "graphql"]
    assert {each.operation for each in sent[7:]} == {"status"}
    assert all(each.headers["authorization"].startswith(("Bearer", "AWS4")) for each in sent)


def test_a_second_push_goes_to_production_when_asked(emulator, vendor, ours, tmp_path):
    """``promote``: the second deployment of the model serves, the first is scaled down."""
    folder = ours.unpacked(ours.deploy("echo"), tmp_path / "truss")
    promoted = {"**": {"model_name": "theirs", "promote": True, "labels": {"a": "1"}}}
    first, _, second, _ = vendor.do(
        ["push", str(folder), PUBLISHED],
        ["wait_for_active"],
        ["push", str(folder), promoted],
        ["wait_for_active"],
    )
    model = emulator.model("theirs")
    assert first[0] == second[0] == model.id
    assert set(model.deployments) == {first[1], second[1]}
    assert model.deployments[second[1]].labels == {"a": "1"}


def test_a_development_push(emulator, vendor, ours, tmp_path):
    """``publish=False`` is one mutable deployment."""
    folder = ours.unpacked(ours.deploy("echo"), tmp_path / "truss")
    draft = {"**": {"model_name": "draft"}}
    _, _, output = vendor.do(
        ["push", str(folder), draft], ["wait_for_active"], ["predict", {"value": "dev"}]
    )
    assert output == {"result": "dev"}
    assert emulator.model("draft").development is not None
    assert emulator.model("draft").production is None


def test_a_wrong_configuration_is_refused(emulator, vendor, ours, tmp_path):
    """By the validation that the client asks for before it uploads anything."""
    folder = ours.unpacked(ours.deploy("echo", gpu="H100"), tmp_path / "truss")
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("H100", "H100:16"))
    mark = len(emulator.requests)
    (said,) = vendor.do(["refused_push", str(folder), PUBLISHED])
    assert said.startswith("ValidationError")
    assert "H100:16" in said
    assert {each.operation for each in list(emulator.requests)[mark:]} == {"graphql"}


def test_the_pushed_configuration_is_accepted_by_truss(vendor, ours, tmp_path):
    """For functions of every kind: ``validate_forbid_extra`` of ``TrussConfig``."""
    folders = [
        ours.unpacked(endpoint, tmp_path / name)
        for name, endpoint in {
            "plain": ours.deploy("echo"),
            "class": ours.deploy("Counter", gpu="H100:2", timeout=900),
            "generator": ours.deploy("count_to", gpu="A100-40GB"),
            "web": ours.deploy_web("site"),
        }.items()
    ]
    plain, machine, *_ = vendor.do(*(["check", str(folder)] for folder in folders))
    assert plain["model_name"] == "contract-echo"
    assert machine["resources"]["accelerator"] == "H100:2"


def test_the_golden_configurations_are_accepted_by_truss(vendor):
    """Those that the adapter's own tests compare with."""
    texts = [place.read_text("utf-8") for place in sorted(GOLDEN.glob("*.config.yaml"))]
    assert len(texts) >= 4
    (said,) = vendor.do(["check_all", texts])
    assert said == [""] * len(texts)


def test_a_large_archive_is_uploaded_in_parts(emulator, vendor, ours, tmp_path):
    """Above 8 MB the client's boto3 sends several, each signed, and puts them together."""
    folder = ours.unpacked(ours.deploy("echo"), tmp_path / "truss")
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "weights.bin").write_bytes(os.urandom(17_000_000))
    mark = len(emulator.requests)
    vendor.do(["push", str(folder), PUBLISHED], ["wait_for_active"])
    sent = [each for each in list(emulator.requests)[mark:] if each.operation == "put"]
    assert [each.method for each in sent].count("PUT") == 3
    assert [each.method for each in sent].count("POST") == 2
    files = members(emulator.model("theirs").production.archive)
    assert files["data/weights.bin"] == (folder / "data" / "weights.bin").read_bytes()


def test_what_truss_drops(vendor):
    """Our list is the one of the package, in its order."""
    (rules,) = vendor.do(["ignored"])
    assert tuple(rules) == DROPPED


def test_names_that_truss_drops_survive_a_deploy(emulator, vendor, ours, tmp_path):
    """Truss's own packing of what gpuhub ships leaves nothing out."""
    root = ours.project.root
    names = ("build/a.py", "lib/b.py", "native.so", "env/c.py", "notes.log", "x.egg/d.py")
    for name in names:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("VALUE = 1\n")
    try:
        endpoint = ours.deploy("echo")
        folder = ours.unpacked(endpoint, tmp_path / "truss")
    finally:
        for name in names:
            (root / name).unlink()
    (packed,) = vendor.do(["archived", str(folder)])
    sent = sorted(members(ours.pushed(endpoint).archive))
    assert [name.removeprefix("./") for name in packed] == sent
    assert not [name for name in sent if is_dropped(name)]
    assert endpoint.invoke("kept") == "kept"


def test_the_configuration_has_the_same_members(vendor):
    """Our reading of ``TrussConfig`` has its names, and its accelerators."""
    fields, cards = vendor.do(["config_members"], ["accelerators"])
    assert set(fields) == set(Config.model_fields)
    assert set(cards) == set(ACCELERATORS)


ACCEPTED = [
    {"model_name": "a"},
    {"python_version": "py312", "resources": {"cpu": "2", "memory": "4Gi"}},
    {"resources": {"accelerator": "H100:2"}},
    {"resources": {"cpu": "500m", "memory": "512Mi"}},
    {"secrets": {"A": None}},
    {"runtime": {"predict_concurrency": 8, "streaming_read_timeout": 120}},
    {"base_image": {"image": "a/b:1", "python_executable_path": "/usr/bin/python3"}},
    {"environment_variables": {"A": "1"}, "system_packages": ["ffmpeg"]},
]
REFUSED = [
    {"python_version": "3.11"},
    {"resources": {"accelerator": "A100-80GB"}},
    {"resources": {"accelerator": "a100"}},
    {"resources": {"memory": "16GB"}},
    {"resources": {"cpu": 2}},
    {"autoscaling": {"min_replica": 1}},
    {"resources": {"gpus": 1}},
    {"runtime": {"num_workers": 2}},
    {"secrets": ["A"]},
    {"base_image": {"image": "a/b:1", "python_executable_path": "usr/bin"}},
    {"requirements": ["a"], "requirements_file": "requirements.txt"},
]


def complaint(document):
    """Give what the emulator says of a configuration."""
    try:
        read_config(document)
    except Problem as problem:
        return problem.detail
    return ""


def test_both_refuse_the_same_configurations(vendor):
    """What Truss takes the emulator takes, and what it refuses the emulator refuses."""
    documents = [*ACCEPTED, *REFUSED]
    (theirs,) = vendor.do(["check_all", [json.dumps(each) for each in documents]])
    mine = [complaint(each) for each in documents]
    for document, one, other in zip(documents, theirs, mine, strict=True):
        expected = document in REFUSED
        assert (bool(one), bool(other)) == (expected, expected), (document, one, other)
