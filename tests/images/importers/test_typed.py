"""Sources as people type, paste and drag them."""

from pathlib import Path

import pytest

from tests.images.photos import save
from tidal_core.errors import InputError
from tidal_core.images.importers import peek, scan
from tidal_core.images.importers.typed import source_as_typed


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in a home of its own, with blanks and letters that are no ASCII in its name."""
    monkeypatch.setenv("HOME", str(tmp_path))
    save(tmp_path / "my photos (März)" / "1.png")
    return tmp_path / "my photos (März)"


@pytest.mark.parametrize(
    "typed",
    [
        "~/my photos (März)",
        "  ~/my photos (März)  ",
        "'~/my photos (März)'",
        '"{home}/my photos (März)"',
        " '{home}/my photos (März)/' ",
        "\u201c{home}/my photos (März)\u201d",
        "{home}/my photos (März) ",
        "{uri}",
        "{uri}/",
        '"{uri}" ',
        "file:{home}/my photos (März)",
        "file://localhost{home}/my%20photos%20(M%C3%A4rz)",
        "FILE://{home}/my photos (März)",
        "{home}/my%20photos%20(M%C3%A4rz)",
        "{home}/my\\ photos\\ \\(März\\)",
        "file:///{home}/my%20photos%20(M%C3%A4rz)",
    ],
)
def test_a_folder_is_found_however_it_was_typed_or_dragged(photos: Path, typed: str) -> None:
    typed = typed.format(home=photos.parent, uri=photos.as_uri())

    assert len(list(scan(typed).items)) == 1
    assert len(list(peek(typed))) == 1


def test_what_is_there_is_taken_as_it_is_called(tmp_path: Path) -> None:
    for name in ("'quoted'", "50%20", "blank ", "back\\ slash"):
        (tmp_path / name).mkdir()
        assert source_as_typed(str(tmp_path / name)) == str(tmp_path / name)


@pytest.mark.parametrize("address", ["s3://bucket/my%20photos", "https://host/a%20b", "digits", "torchvision:CIFAR10"])
def test_addresses_and_names_keep_their_letters(address: str) -> None:
    assert source_as_typed(f" '{address}' ") == address


@pytest.mark.parametrize(
    "typed",
    ["file:///no/such folder", "~/no such folder", "'/no/such folder'", "file://other/x", "a:b"],
)
def test_what_is_not_there_is_refused_without_a_word_of_the_inside(typed: str) -> None:
    with pytest.raises(InputError) as refusal:
        scan(typed)

    assert not [
        word for word in ("torchvision:", "digits)", "Label Studio", "metadata.csv") if word in str(refusal.value)
    ]
    assert "check the name" in str(refusal.value) or "give a folder" in str(refusal.value)
