"""The small parts: target, file, annotations, unpacking, unwrapping."""

from __future__ import annotations

import functools
import io
import tarfile
import typing
import zipfile
from collections.abc import AsyncGenerator, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gpuhub.worker.annotations import _evaluate, _without_bars, call_hints, class_hints, item_hint
from gpuhub.worker.archive import unpack
from gpuhub.worker.file import File
from gpuhub.worker.find import find_object, raw_object
from gpuhub.worker.target import Target

if TYPE_CHECKING:
    from torch import Tensor  # type: ignore[import-not-found]


def test_target_survives_a_dict():
    """To JSON members and back."""
    target = Target("a.b", "C", "class", is_async=True)
    assert Target.from_dict(target.to_dict()) == target


@pytest.mark.parametrize(
    "fields", [{}, {"module": "a"}, {"module": "a", "qualname": "b", "colour": "red"}]
)
def test_broken_target_descriptions_are_refused(fields):
    """Missing and unknown members."""
    with pytest.raises(ValueError, match="not a target description"):
        Target.from_dict(fields)


def test_unknown_kinds_are_refused():
    """A worker knows four kinds."""
    with pytest.raises(ValueError, match="must be one of function, generator, class, web"):
        Target("a", "b", "method")  # type: ignore[arg-type]


def test_file_from_path_and_back(tmp_path):
    """Name and media type come from the path; the content goes back to a file or a folder."""
    source = tmp_path / "in.png"
    source.write_bytes(b"x")
    file = File.from_path(source)
    assert (file.read(), file.name, file.media_type) == (b"x", "in.png", "image/png")
    assert File.from_path(source, "image/x").media_type == "image/x"
    assert file.save(tmp_path / "out.png").read_bytes() == b"x"
    (tmp_path / "folder").mkdir()
    assert file.save(tmp_path / "folder") == tmp_path / "folder" / "in.png"


@pytest.mark.parametrize("name", ["../up.txt", "/etc/up.txt", "..\\up.txt", "a/../../up.txt"])
def test_a_files_name_does_not_choose_the_folder(tmp_path, name):
    """A name from the network stays in the folder it is saved to."""
    assert File(b"x", name).save(tmp_path) == tmp_path / "up.txt"


@pytest.mark.parametrize("name", ["", "..", "a/.."])
def test_a_nameless_file_needs_a_path(tmp_path, name):
    """Saving into a folder takes a name."""
    with pytest.raises((ValueError, OSError)):
        File(b"x", name).save(tmp_path)


def test_a_files_content_is_not_shown():
    """``repr`` leaves the bytes out."""
    assert "secret" not in repr(File(b"secret", "a"))


def annotated(a: int, b: Tensor, c: "list[Missing]") -> bytes:  # type: ignore[name-defined] # noqa: F821, UP037
    """Take what only type checkers know."""
    return b""


def test_unresolvable_annotations_are_any():
    """A name only type checkers import takes nothing from the other parameters."""
    hints = call_hints(annotated)
    assert hints == {"a": int, "b": Any, "c": Any, "return": bytes}


def test_hints_follow_wraps():
    """A decorated function's annotations are resolved where it was written."""

    @functools.wraps(annotated)
    def wrapper(*args, **kwargs):
        return annotated(*args, **kwargs)

    assert call_hints(wrapper)["a"] is int


class Outer:
    one: int
    two: "Missing"  # type: ignore[name-defined]  # noqa: F821, UP037


class Inner(Outer):
    three: bytes


def test_unresolvable_fields_are_any():
    """Fields of a class and its bases, each for itself."""
    assert class_hints(Inner, Inner) == {"one": int, "two": Any, "three": bytes}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("int | None", int | None),
        ("list[int | str] | None", list[int | str] | None),
        ("dict[str, int]", dict[str, int]),
    ],
)
def test_bars_can_be_written_as_unions(text, wanted):
    """Python 3.9 has no ``X | Y``; the annotation is rewritten there."""
    assert eval(_without_bars(text), {}) == wanted  # noqa: S307
    assert _evaluate(text, {}) == wanted


@pytest.mark.parametrize("text", ["int |", "no.such", "1/0"])
def test_broken_text_is_any(text):
    """Text that is no annotation is no annotation."""
    assert _evaluate(text, {}) is Any


@pytest.mark.parametrize(
    ("returns", "item"),
    [
        (Iterator[int], int),
        (Generator[int, None, str], int),
        (AsyncGenerator[int, None], int),
        (typing.AsyncIterator[int], int),
        (typing.Iterable[bytes], bytes),
        (Iterator, Any),
        (list[int], Any),
        (int, Any),
    ],
)
def test_items_of_generators(returns, item):
    """What is yielded comes from the return annotation."""
    assert item_hint(returns) == item


def make_tar(*members: tuple[str, bytes]) -> bytes:
    """Make a ``.tar.gz``."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return packed.getvalue()


def make_zip(*members: tuple[str, bytes]) -> bytes:
    """Make a ``.zip``."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("folder/", b"")
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_archives_are_unpacked(tmp_path, make):
    """Regular files only: a link could point anywhere."""
    archive, folder = tmp_path / "bundle", tmp_path / "out"
    folder.mkdir()
    archive.write_bytes(make(("a/b.txt", b"x"), ("c", b"")))
    assert unpack(archive, folder) == folder
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert files == {"a/b.txt", "c"}


def test_a_folder_is_used_as_it_is(tmp_path):
    """Nothing is copied."""
    assert unpack(tmp_path, Path("unused")) == tmp_path


@pytest.mark.parametrize("make", [make_tar, make_zip])
@pytest.mark.parametrize("name", ["../up", "/abs", "a/../../up", "a\\..\\up"])
def test_archives_stay_in_their_folder(tmp_path, make, name):
    """A member that would land outside is refused."""
    (tmp_path / "bundle").write_bytes(make((name, b"x")))
    with pytest.raises(ValueError, match="outside of the folder"):
        unpack(tmp_path / "bundle", tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"text", make_tar(("a", b"x"))[:-40]],
    ids=["empty", "zip", "text", "tar"],  # the tar has the time of its making in it
)
def test_broken_archives_are_refused(tmp_path, content):
    """Neither tar nor zip, or cut short."""
    (tmp_path / "bundle").write_bytes(content)
    with pytest.raises(ValueError, match=r"neither a \.tar\.gz nor a \.zip"):
        unpack(tmp_path / "bundle", tmp_path)


class Wrapper:
    def __init__(self, wrapped: Any) -> None:
        self.__wrapped__ = wrapped


def test_only_our_own_wrapper_is_taken_off(monkeypatch):
    """What another decorator adds is part of the user's function."""
    assert raw_object(Wrapper(annotated)) is not annotated
    monkeypatch.setattr(Wrapper, "__module__", "gpuhub._function")
    assert raw_object(Wrapper(annotated)) is annotated

    @functools.wraps(annotated)
    def other():
        return None

    assert raw_object(other) is other


def test_objects_are_found_by_dotted_names():
    """Modules and nested classes."""
    assert find_object(Target("gpuhub.worker.file", "File.from_path")) == File.from_path
    with pytest.raises(AttributeError):
        find_object(Target("gpuhub.worker.file", "Nope"))
