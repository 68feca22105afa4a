"""Zip and tar archives."""

import io
import os
import resource
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.images.importers.listing import listed
from tests.images.importers.test_parquet import hugging_face
from tests.images.photos import encoded, picture
from tidal_core.errors import InputError
from tidal_core.images.importers import archive, peek, scan
from tidal_core.images.importers.archive import safe_path
from tidal_core.images.importers.base import FoundImage
from tidal_core.images.ingest import ingest
from tidal_core.projects import Project
from tidal_core.records import ImportProblem, Split

PHOTO = encoded(picture(), "JPEG")
KINDS = ["a.zip", "a.tar", "a.tar.gz", "a.tar.xz"]


def packed(path: Path, members: dict[str, bytes]) -> Path:
    """An archive of the kind that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, data in members.items():
                file.writestr(zipfile.ZipInfo(name), data)
        return path
    with tarfile.open(path, "w:" + path.suffix[1:].replace("tar", "")) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def photo(seed: int) -> bytes:
    return encoded(picture(seed=seed), "JPEG")


@pytest.mark.parametrize("name", KINDS)
def test_an_archive_reads_like_the_folder_it_holds(name: str, tmp_path: Path) -> None:
    members = {f"flowers/{part}": photo(i) for i, part in enumerate(["daisy/1.jpg", "rose/2.jpg", "rose/3.jpg"])}
    source = packed(tmp_path / "in" / name, {**members, "flowers/.hidden.jpg": b"", "__MACOSX/x.jpg": b""})

    images, problems = listed(source)

    assert [(image.name, image.label, image.read()) for image in images] == [
        (key.removeprefix("flowers/"), key.split("/")[1], data) for key, data in members.items()
    ]
    assert problems == []
    assert [label_class.name for label_class in scan_classes(source)] == ["daisy", "rose"]


def scan_classes(source: Path):  # type: ignore[no-untyped-def]
    from tidal_core.images.importers.base import ImportOptions

    return scan(str(source), ImportOptions(workspace=source.parent / "workspace")).classes


def test_train_and_test_folders_are_the_split(tmp_path: Path) -> None:
    source = packed(tmp_path / "in" / "a.zip", {"d/train/a/1.jpg": photo(1), "d/test/a/2.jpg": photo(2)})

    images, _ = listed(source)

    assert [(image.label, image.split) for image in images] == [("a", Split.POOL), ("a", Split.TEST)]


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_written_outside_the_folder(name: str, tmp_path: Path) -> None:
    bad = ["../out.jpg", "/tmp/abs.jpg", "a/../../out.jpg", "..\\out.jpg", "C:\\out.jpg", "\\\\host\\out.jpg"]
    source = packed(tmp_path / "in" / name, {**dict.fromkeys(bad, PHOTO), "good.jpg": PHOTO})
    before = {path for path in tmp_path.rglob("*") if "workspace" not in path.parts}

    images, problems = listed(source)

    assert [image.name for image in images] == ["good.jpg"]
    assert len(problems) == len(bad)
    assert all("points outside" in problem.reason and problem.remedy for problem in problems)
    assert {path for path in tmp_path.rglob("*") if "workspace" not in path.parts} == before
    assert not Path("/tmp/abs.jpg").exists()


def test_links_and_devices_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with tarfile.open(tmp_path / "in" / "a.tar", "w") as tar:
        for name, kind in [("sym.jpg", tarfile.SYMTYPE), ("hard.jpg", tarfile.LNKTYPE), ("pipe.jpg", tarfile.FIFOTYPE)]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/hostname"
            tar.addfile(info)
        info = tarfile.TarInfo("good.jpg")
        info.size = len(PHOTO)
        tar.addfile(info, io.BytesIO(PHOTO))
    with zipfile.ZipFile(tmp_path / "in" / "a.zip", "w") as file:
        entry = zipfile.ZipInfo("sym.jpg")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(entry, "/etc/hostname")
        file.writestr("good.jpg", PHOTO)

    for name, refused in [("a.tar", ["sym.jpg", "hard.jpg", "pipe.jpg"]), ("a.zip", ["sym.jpg"])]:
        images, problems = listed(tmp_path / "in" / name)
        assert [image.name for image in images] == ["good.jpg"]
        assert [problem.name for problem in problems] == refused


TEN_GB = 10_000_000_000
BLOCK = 10_000_000


def ten_gigabytes_of_zeros() -> bytes:
    """A deflate stream of 10 MB that inflates to 10 GB: one block again and again, made in a moment.

    A full flush ends a block at a byte and makes it independent of what came before, so copies of it can follow.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(BLOCK)) + packer.flush(zlib.Z_FULL_FLUSH)
    assert len(zlib.decompressobj(-15).decompress(block * 2)) == 2 * BLOCK
    return block * (TEN_GB // BLOCK) + packer.flush(zlib.Z_FINISH)


def bomb_zip(path: Path, claims: int) -> None:
    """A zip of a photo and of ten gigabytes that ``claims`` to be so many bytes."""
    data = ten_gigabytes_of_zeros()
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("good.jpg", PHOTO)
        info = zipfile.ZipInfo("zeros.jpg")
        info.compress_type, info.file_size, info.compress_size = zipfile.ZIP_DEFLATED, claims, len(data)
        info.CRC = 0
        assert file.fp is not None
        info.header_offset = file.fp.tell()
        file.fp.write(info.FileHeader(zip64=True) + data)
        file.filelist.append(info)
        file.start_dir = file.fp.tell()  # where the list of the members begins


def bomb_tar_gz(path: Path) -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        info = tarfile.TarInfo("good.jpg")
        info.size = len(PHOTO)
        tar.addfile(info, io.BytesIO(PHOTO))
        head = tarfile.TarInfo("zeros.jpg")
        head.size = TEN_GB
        start = plain.getvalue()[: plain.tell()] + head.tobuf(tarfile.GNU_FORMAT)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    path.write_bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + first + ten_gigabytes_of_zeros() + bytes(8))


@pytest.fixture
def inflated(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts the bytes that zlib hands out."""
    counts: Counter[str] = Counter()

    def counting(make: Any) -> Any:
        class Counting:
            def __init__(self, *args: Any, **options: Any) -> None:
                self._inner = make(*args, **options)

            def decompress(self, *args: Any, **options: Any) -> bytes:
                out = bytes(self._inner.decompress(*args, **options))
                counts["bytes"] += len(out)
                return out

            def __getattr__(self, name: str) -> Any:
                return getattr(self._inner, name)

        return Counting

    for name in ("decompressobj", "_ZlibDecompressor"):  # the latter is gzip's from Python 3.12 on
        if hasattr(zlib, name):
            monkeypatch.setattr(zlib, name, counting(getattr(zlib, name)))
    return counts


@pytest.mark.parametrize(("name", "claims"), [("a.zip", TEN_GB), ("a.zip", 20_000_000), ("a.tar.gz", TEN_GB)])
def test_ten_gigabytes_of_zeros_are_refused_and_hardly_any_of_them_unpacked(
    name: str, claims: int, tmp_path: Path, inflated: Counter[str]
) -> None:
    source = tmp_path / "in" / name
    source.parent.mkdir()
    bomb_zip(source, claims) if name == "a.zip" else bomb_tar_gz(source)
    assert source.stat().st_size < 20_000_000
    inflated.clear()

    images, problems = listed(source)

    assert [image.name for image in images] == ["good.jpg"]
    assert [problem.name for problem in problems] == ["zeros.jpg"]
    assert ("GB" if claims == TEN_GB else "it cannot be unpacked") in problems[0].reason
    assert problems[0].remedy
    assert inflated["bytes"] < 50_000_000
    assert inflated["bytes"] > 1_000_000 or claims == TEN_GB  # what lies about its size is found out on the way
    assert sum(path.stat().st_size for path in (source.parent / "workspace").rglob("*") if path.is_file()) < 10_000


def test_many_members_that_are_much_together_are_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "ALWAYS_ALLOWED_BYTES", 5 * len(PHOTO))
    monkeypatch.setattr(archive, "MAX_EXPANSION", 0)
    source = packed(tmp_path / "in" / "a.zip", {f"{i}.jpg": PHOTO for i in range(9)})

    images, problems = listed(source)

    assert len(images) == 5
    assert [problem.name for problem in problems] == ["5.jpg"]
    assert "this file and all after it were skipped" in problems[0].reason


def test_archives_within_archives_and_other_files_are_named(tmp_path: Path) -> None:
    source = packed(tmp_path / "in" / "a.zip", {"inner.zip": b"PK", "notes.txt": b"hi", "labels.csv": b"a", "1": PHOTO})

    images, problems = listed(source)

    assert [image.name for image in images] == ["1"]
    assert {problem.name: problem.reason for problem in problems} == {
        "inner.zip": "it is an archive inside the archive",
        "notes.txt": "it is not an image",
        "labels.csv": "it is not an image",
    }


def test_an_encrypted_member_is_named(tmp_path: Path) -> None:
    source = packed(tmp_path / "in" / "a.zip", {"secret.jpg": PHOTO, "open.jpg": PHOTO})
    data = bytearray(source.read_bytes())
    entry = data.index(b"PK\x01\x02")  # the first member in the central directory
    data[entry + 8] |= 1
    source.write_bytes(data)

    images, problems = listed(source)

    assert [image.name for image in images] == ["open.jpg"]
    assert [(problem.name, problem.reason) for problem in problems] == [("secret.jpg", "it is encrypted")]


def test_a_member_with_damaged_data_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    source = tmp_path / "in" / "a.zip"
    source.parent.mkdir()
    with zipfile.ZipFile(source, "w") as file:
        file.writestr("bad.jpg", PHOTO)
        file.writestr("good.jpg", PHOTO)
    data = bytearray(source.read_bytes())
    data[data.index(b"bad.jpg") + 200] ^= 0xFF
    source.write_bytes(data)

    images, problems = listed(source)

    assert [image.name for image in images] == ["good.jpg"]
    assert "cannot be unpacked (Bad CRC-32" in problems[0].reason


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip"])
def test_an_archive_that_is_cut_off_gives_what_it_has_or_is_refused(name: str, tmp_path: Path) -> None:
    source = packed(tmp_path / "in" / name, {f"{i}.jpg": os.urandom(20_000) for i in range(9)})
    source.write_bytes(source.read_bytes()[:100_000])

    if name == "a.zip":
        with pytest.raises(InputError, match="cannot be read as an archive"):
            listed(source)
        return
    images, problems = listed(source)
    assert len(images) >= 3
    assert any("cut off" in problem.reason for problem in problems)


@pytest.mark.parametrize("name", ["empty.zip", "text.tar.gz"])
def test_what_is_no_archive_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"not an archive" if "text" in name else b"")

    with pytest.raises(InputError, match=r"cannot be read as an archive \(its bytes are not"):
        listed(tmp_path / name)


def test_a_data_set_inside_is_read_by_its_own_importer(tmp_path: Path) -> None:
    shard = hugging_face(tmp_path / "train.parquet")
    source = packed(tmp_path / "in" / "a.zip", {"ds/data/train.parquet": shard.read_bytes()})

    images, _ = listed(source)

    assert [image.label for image in images] == ["cat", "dog", "cat", "dog", "cat"]


def test_importing_an_archive_twice_adds_nothing_and_keeps_its_images(project: Project, tmp_path: Path) -> None:
    source = packed(tmp_path / "in" / "a.tar.gz", {f"x/{i}.jpg": photo(i) for i in range(4)})
    first = ingest(project, str(source), labels="answers")
    second = ingest(project, str(source), labels="answers")
    source.unlink()

    assert (first.read, second.read, second.known, second.labels) == (4, 0, 4, 0)
    assert all(Path(image.uri).is_relative_to(project.folder) for image in project.store.images.all())
    assert all(Path(image.uri).exists() for image in project.store.images.all())


def test_a_look_inside_writes_nothing(tmp_path: Path) -> None:
    source = packed(tmp_path / "in" / "a.tar.gz", {f"x/{i}.jpg": photo(i) for i in range(4)})

    (first, *_rest) = peek(str(source))

    assert isinstance(first, FoundImage)
    assert first.read() == photo(0)
    assert list(tmp_path.iterdir()) == [tmp_path / "in"]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a/b.jpg", "a/b.jpg"),
        ("a//./b.jpg", "a/b.jpg"),
        ("a\\b.jpg", "a/b.jpg"),
        ("..", None),
        ("", None),
        ("a/..", None),
    ],
)
def test_a_members_name_is_a_path_below_or_nothing(name: str, safe: str | None) -> None:
    path = safe_path(name)

    assert (path.as_posix() if path else None) == safe


def zip_of_raw_names(path: Path, names: list[bytes], extra: dict[bytes, bytes] | None = None) -> Path:
    """A zip whose names have no UTF-8 flag, as archivers of other times wrote them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stand_ins = {name: bytes([65 + i]) * len(name) for i, name in enumerate(names)}
    with zipfile.ZipFile(path, "w") as file:
        for seed, name in enumerate(names):
            info = zipfile.ZipInfo(stand_ins[name].decode())
            info.extra = (extra or {}).get(name, b"")
            file.writestr(info, photo(seed))
    data = path.read_bytes()
    for name, stand_in in stand_ins.items():
        data = data.replace(stand_in, name)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("codec", "folders", "in_words"),
    [
        ("utf-8", ("B\u00e4ume", "\u732b"), None),
        ("utf-8", ("cafe\u0301", "tea"), None),
        ("cp437", ("B\u00e4ume", "Gr\u00fc\u00dfe"), "CP437"),
        ("cp866", ("\u043a\u043e\u0448\u043a\u0430", "\u0441\u043e\u0431\u0430\u043a\u0430"), "CP866"),
        ("cp932", ("\u732b\u306e\u5199\u771f", "\u8868\u793a"), "Shift-JIS"),
    ],
)
def test_names_in_a_zip_that_say_no_encoding_are_read(
    codec: str, folders: tuple[str, str], in_words: str | None, tmp_path: Path
) -> None:
    names = [f"{folder}/{number}.jpg".encode(codec) for number, folder in enumerate(folders)]

    images, problems = listed(zip_of_raw_names(tmp_path / "in" / "a.zip", names))

    assert [image.label for image in images] == [unicodedata.normalize("NFC", folder) for folder in folders]
    assert [in_words in problem.reason for problem in problems if in_words] == ([True] if in_words else [])
    assert all(image.read() == photo(seed) for seed, image in enumerate(images))


def test_a_name_in_the_extra_field_for_unicode_goes_before_a_guess(tmp_path: Path) -> None:
    raw, name = b"\x8e\x9a/1.jpg", "\u017elut\u00fd/1.jpg".encode()
    body = b"\1" + zlib.crc32(raw).to_bytes(4, "little") + name
    stale = b"\1" + zlib.crc32(b"other").to_bytes(4, "little") + b"wrong/2.jpg"
    fields = {raw: body, b"B\x84ume/2.jpg": stale}
    extra = {key: b"\x75\x70" + len(value).to_bytes(2, "little") + value for key, value in fields.items()}

    images, problems = listed(zip_of_raw_names(tmp_path / "in" / "a.zip", list(extra), extra))

    assert [image.label for image in images] == ["\u017elut\u00fd", "B\u00e4ume"]
    assert [problem.reason.partition(":")[0] for problem in problems] == [
        "1 name does not say in which encoding they are"
    ]


def test_a_folder_packed_as_it_is_is_read_as_the_data_set_it_is(tmp_path: Path) -> None:
    table = b"file_name,label\n1.jpg,daisy\n2.jpg,rose\n"
    members = {"mine/1.jpg": photo(1), "mine/2.jpg": photo(2), "mine/metadata.csv": table}

    images, problems = listed(packed(tmp_path / "a.zip", members))

    assert [(image.name, image.label) for image in images] == [("1.jpg", "daisy"), ("2.jpg", "rose")]
    assert problems == []


def test_an_archive_of_the_same_size_with_other_labels_and_images_is_another_one(
    project: Project, tmp_path: Path
) -> None:
    big = {f"{i}.bmp": encoded(picture(700, 400, seed=i), "BMP") for i in range(5)}  # 4 MB that stay the same
    for seed, label in ((7, b"cat"), (8, b"dog")):
        photos = {**big, "last.bmp": encoded(picture(700, 400, seed=seed), "BMP")}
        table = b"file_name,label\n" + b"".join(name.encode() + b"," + label + b"\n" for name in photos)
        with tarfile.open(tmp_path / "a.tar", "w") as tar:
            for name, data in {**photos, "metadata.csv": table, "pad.bmp": b"BM" + b"\0" * 2_000_000}.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        report = ingest(project, str(tmp_path / "a.tar"), labels="known")
        assert label.decode() in {record.name for record in project.store.classes.all()}

    assert (report.read, report.known) == (1, 5)


def test_of_a_name_that_is_there_twice_the_first_is_read_as_the_report_says(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("1.jpg", photo(1))
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("1.jpg", photo(2))

    images, problems = listed(tmp_path / "a.zip")

    assert [image.read() for image in images] == [photo(1)]
    assert [problem.reason for problem in problems] == ["the archive has two files of this name; the first was read"]


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_a_look_into_a_damaged_archive_names_what_is_damaged_and_goes_on(name: str, tmp_path: Path) -> None:
    source = packed(tmp_path / name, {f"{i}.jpg": os.urandom(1_000) + photo(i) for i in range(5)})
    whole = source.read_bytes()
    source.write_bytes(whole[:500] + bytes([whole[500] ^ 255]) + whole[501:] if name == "a.zip" else whole[:-2_000])

    items = list(peek(str(source)))

    assert [item.name for item in items if isinstance(item, ImportProblem)] == ["0.jpg" if name == "a.zip" else "3.jpg"]
    assert sum(isinstance(item, FoundImage) for item in items) >= 3


def test_a_full_disk_ends_the_import_and_is_not_taken_for_damage_of_the_archive(
    project: Project, tmp_path: Path
) -> None:
    large = encoded(picture(2_000, 1_000), "BMP")
    source = packed(tmp_path / "a.zip", {f"{i}.bmp": large for i in range(3)})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(large) - 1, limits[1]))
    try:
        with pytest.raises(InputError, match=r"File too large.*Make room on the disk and import again"):
            ingest(project, str(source))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not [path for path in (project.folder / "originals").rglob("*") if path.is_file()]
