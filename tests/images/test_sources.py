"""The bytes behind a URI."""

import os
from pathlib import Path

import pytest

from tests.images.photos import save
from tidal_core.errors import ImageUnreadable
from tidal_core.images.sources import read_uri, uri_path
from tidal_core.images.sources.file import file_uri, shown_name


def test_a_path_is_read(tmp_path: Path) -> None:
    path = save(tmp_path / "a b'\n\"ü.jpg")

    assert read_uri(file_uri(path)) == path.read_bytes()
    assert uri_path(file_uri(path)) == path


def test_a_name_that_is_not_valid_text_is_read_by_a_percent_encoded_uri(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    try:
        Path(os.fsdecode(path)).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system refuses names that are not UTF-8")

    uri = file_uri(os.fsdecode(path))

    assert uri.startswith("file:")
    assert uri.isascii()
    assert read_uri(uri) == b"x"
    assert shown_name(os.fsdecode(path)).endswith("caf\N{REPLACEMENT CHARACTER}.jpg")


def test_a_digit_is_read_by_its_number() -> None:
    assert read_uri("digits:17").startswith(b"\x89PNG")
    with pytest.raises(ImageUnreadable, match="digits 0 to 1796"):
        read_uri("digits:1797")
    with pytest.raises(ImageUnreadable, match="not the number"):
        read_uri("digits:-1")


def test_what_is_no_readable_file_is_named_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").mkdir()
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")

    for name, reason in {
        "x.jpg": "a folder",
        "broken.jpg": "a link to a file that is not there",
        "loop.jpg": "a link to itself",
        "a" * 5_000: "its name is longer than that of any file",
        "pipe.jpg": "not a regular file",
        "gone.jpg": "the file is not there",
    }.items():
        with pytest.raises(ImageUnreadable) as caught:
            read_uri(str(tmp_path / name), name)
        assert caught.value.name == name
        assert reason in caught.value.reason
        assert caught.value.remedy


def test_a_file_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "secret.jpg")
    path.chmod(0)

    def refused(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")  # a privileged user would be let in: refuse in any case

    monkeypatch.setattr(Path, "read_bytes", refused)

    with pytest.raises(ImageUnreadable, match="not allowed to read it; change its permissions"):
        read_uri(str(path))
