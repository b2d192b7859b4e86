"""The environment: code in pieces, the operating system's limits to the byte, ship modes."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhub.bundle import Bundle
from gpuhub.errors import ConfigError, SpecError
from gpuhub.spec import FunctionSpec, Image
from gpuhub.worker.target import Target
from gpuhub_runpod.container import (
    BOOT_ARGS,
    ENV_STRING_LIMIT,
    ENV_TOTAL_LIMIT,
    boot_script,
    check_size,
    code_env,
    image_tag,
    runnable,
)
from gpuhub_runpod.defaults import Defaults
from gpuhub_runpod.options import Options
from gpuhub_runpod.ship import ship

TARGET = Target("shop", "echo")
BUNDLE = Bundle({"manifest.json": b"{}"}, TARGET, "ab" * 32)
SPEC = FunctionSpec(name="echo", target=TARGET, image=Image(python="3.12"))
NONE = Options()


def joined(env):
    """Put the code together again."""
    pieces = [env[f"GPUHUB_CODE_{number}"] for number in range(int(env["GPUHUB_CODE_PARTS"]))]
    return base64.b64decode("".join(pieces))


@given(st.integers(0, 400_000))
def test_code_survives_in_pieces(size):
    """Each piece fits into a variable, and all together are the code."""
    packed = os.urandom(size)
    env = code_env(packed)
    assert joined(env) == packed
    assert env["GPUHUB_CODE_SHA256"] == hashlib.sha256(packed).hexdigest()
    check_size(env, BOOT_ARGS)


@pytest.mark.parametrize(("length", "fits"), [(-1, True), (0, True), (1, False)])
def test_one_variable_to_the_byte(length, fits):
    """131,071 bytes of NAME=value are taken, one more is not; bytes, not characters."""
    value = "é" * 10
    value += "x" * (ENV_STRING_LIMIT + length - len(f"NAME={value}".encode()))
    if fits:
        check_size({"NAME": value}, "")
        return
    with pytest.raises(SpecError, match="NAME has 131,072 bytes"):
        check_size({"NAME": value}, "")


@pytest.mark.parametrize("length", [-1, 0, 1])
def test_the_limit_is_the_operating_systems(length):
    """This machine agrees: a process starts with so much in a variable, and not with more."""
    value = "x" * (ENV_STRING_LIMIT + length - len("NAME="))
    command = [sys.executable, "-I", "-S", "-c", "import os; print(len(os.environ['NAME']))"]
    if length > 0:
        with pytest.raises(OSError, match="Argument list too long"):
            subprocess.run(command, env={"NAME": value}, check=True)
        return
    ran = subprocess.run(command, env={"NAME": value}, check=True, capture_output=True)
    assert int(ran.stdout) == len(value)


@pytest.mark.parametrize(("length", "fits"), [(-1, True), (0, True), (1, False)])
def test_all_variables_to_the_byte(length, fits):
    """Names, values, ends and pointers count, and the start command."""
    env = {f"V{number:02}": "x" * 100_000 for number in range(20)}
    used = sum(len(f"{name}={value}") + 9 for name, value in env.items())
    env["LAST"] = "x" * (ENV_TOTAL_LIMIT + length - used - len("LAST=") - 9 - len(BOOT_ARGS))
    if fits:
        check_size(env, BOOT_ARGS)
        return
    with pytest.raises(SpecError, match="2,031,617 bytes"):
        check_size(env, BOOT_ARGS)


def test_the_start_command_has_one_quoted_script():
    """RunPod's host splits it as a shell does; the script itself is in the environment."""
    assert BOOT_ARGS.count("'") == 2
    ran = subprocess.run(
        ["sh", "-c", BOOT_ARGS],
        env={"GPUHUB_BOOT": "print('booted')", "PATH": os.environ["PATH"]},
        capture_output=True,
        check=True,
    )
    assert ran.stdout == b"booted\n"


def test_the_script_fits():
    """It is small beside the code."""
    assert len(boot_script()) < 8_000


def test_the_worker_entry_travels():
    """The bundle gets RunPod's entry, deterministically."""
    made = runnable(BUNDLE)
    assert b"runpod.serverless.start" in made.files["runtime/gpuhub_runpod/entry.py"]
    assert made.tar_gz() == runnable(BUNDLE).tar_gz()


@pytest.mark.parametrize(("size", "mode"), [(199_999, "inline"), (200_000, "inline")])
def test_small_code_needs_no_registry(size, mode):
    """Up to the limit it travels in the environment."""
    assert ship(SPEC, size, NONE, Defaults()).mode.mode == mode


def test_larger_code_needs_a_registry():
    """One byte more is refused without one, with the settings that help, and pushed with one."""
    with pytest.raises(SpecError, match="200,001 bytes") as caught:
        ship(SPEC, 200_001, NONE, Defaults())
    assert "registry" in caught.value.next_step
    assert "inline_bundle_limit" in caught.value.next_step
    found = ship(SPEC, 200_001, NONE, Defaults(registry="docker.io/me/w"))
    assert found.mode.mode == "registry"
    assert "200,000" in found.mode.reason


def test_the_limit_can_be_raised():
    """By the setting, up to what fits into an environment."""
    assert ship(SPEC, 900_000, NONE, Defaults(inline_bundle_limit=900_000)).mode.mode == "inline"


def test_the_way_can_be_asked_for():
    """Inline is refused when it does not fit, registry when there is none."""
    assert ship(SPEC, 1, Options(ship="registry"), Defaults(registry="a/b")).mode.mode == "registry"
    with pytest.raises(SpecError, match="no registry is set"):
        ship(SPEC, 1, Options(ship="registry"), Defaults())
    with pytest.raises(SpecError, match="packed code"):
        ship(SPEC, 200_001, Options(ship="inline"), Defaults(registry="a/b"))


def test_each_version_has_a_tag():
    """A tag that moved would take older versions with it."""
    first, second = (image_tag("docker.io/me/w", "shop-echo", each) for each in (b"1", b"2"))
    assert first != second
    assert first.startswith("docker.io/me/w:shop-echo-")


@pytest.mark.parametrize(
    ("key", "value"), [("inline_bundle_limit", 1_400_001), ("prefetch", 0), ("prefetch", 1001)]
)
def test_settings_are_checked(make_lab, key, value):
    """Out of range is named with the range."""
    with pytest.raises(ConfigError, match=key):
        make_lab(**{key: value})


def test_settings_reach_the_plan(make_lab):
    """Images, prefetch and FlashBoot of the project's settings."""
    lab = make_lab(
        gpu_image="me/gpu:{python}", prefetch=9, flashboot=True, local_secrets_in_env=True
    )
    body = lab.body(gpu="L4", image=Image(python="3.12"))
    assert body["image"] == "me/gpu:3.12"
    assert body["env"]["GPUHUB_PREFETCH"] == "9"
    assert body["flashboot"] == "FLASHBOOT"
    assert lab.body(snapshot="off")["flashboot"] == "OFF"
    assert lab.adapter.capabilities["secrets.local"].level == "emulated"
