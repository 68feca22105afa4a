"""Sources that are made to fill the memory, and cells that no address is: named, and the rest comes in."""

from __future__ import annotations

import io
import json
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.images.memory import megabytes
from tests.images.photos import save
from tidal_core.config import ProjectSettings
from tidal_core.errors import InputError
from tidal_core.images.importers import json_file, scan
from tidal_core.images.importers.base import Columns, FoundImage, ImportOptions
from tidal_core.images.importers.rows import read_rows
from tidal_core.images.ingest import ingest
from tidal_core.images.preview import preview
from tidal_core.images.sources import read_uri
from tidal_core.projects import Project, create_project
from tidal_core.records import ImportProblem

MB = 1_000_000


@pytest.fixture
def project() -> Iterator[Project]:
    made = create_project("bounds", ProjectSettings(training_size=16))
    yield made
    made.close()


def problems(source: Path, workspace: Path) -> list[ImportProblem]:
    items = scan(str(source), ImportOptions(workspace=workspace)).items
    return [item for item in items if isinstance(item, ImportProblem)]


def sparse_header(path: Path, kind: bytes, size: int, photo: Path) -> Path:
    """A tar with one photo and then a description of the next member that has ``size`` bytes, none of them written."""
    with tarfile.open(path, "w") as tar:
        tar.add(photo, "first.jpg")
        end = tar.offset
    info = tarfile.TarInfo("next")
    info.type, info.size = kind, size
    with path.open("r+b") as file:
        file.seek(end)
        file.write(info.tobuf(tarfile.USTAR_FORMAT))
        file.truncate(end + 512 + size + 512)
    return path


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_tar_is_read_up_to_a_header_of_three_gigabytes(tmp_path: Path, kind: bytes) -> None:
    source = sparse_header(tmp_path / "a.tar", kind, 3_000 * MB, save(tmp_path / "p.jpg"))
    (problem,) = problems(source, tmp_path / "unpacked")
    assert "a member's description has 3,000 MB" in problem.reason
    assert "what comes before the damage was read" in problem.reason


def test_a_tar_with_a_sparse_file_ends_there(tmp_path: Path) -> None:
    source = sparse_header(tmp_path / "a.tar", tarfile.GNUTYPE_SPARSE, 512, save(tmp_path / "p.jpg"))
    assert "it holds a sparse file" in problems(source, tmp_path / "unpacked")[0].reason


def test_hidden_members_count_as_what_an_archive_unpacks_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidal_core.images.importers.archive.ALWAYS_ALLOWED_BYTES", 1 * MB)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.add(save(tmp_path / "p.jpg"), "first.jpg")
        for number in range(3):
            info = tarfile.TarInfo(f".hidden/{number}")
            info.size = 10 * MB
            tar.addfile(info, io.BytesIO(bytes(info.size)))
    (problem,) = problems(tmp_path / "a.tar.gz", tmp_path / "unpacked")
    assert problem.name == ".hidden/0"
    assert "would unpack to more than" in problem.reason


def test_an_xz_that_asks_for_gigabytes_is_refused(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    packed = bytearray(lzma.compress(bytes(10_240), filters=filters))
    asked = packed.index(0x21, 12) + 2  # the filter's number, the length of what it says, the size of its dictionary
    packed[asked] = 39  # 3 GB
    end = 12 + 4 * (packed[12] + 1)
    packed[end - 4 : end] = zlib.crc32(packed[12 : end - 4]).to_bytes(4, "little")
    (tmp_path / "a.tar.xz").write_bytes(packed)
    with pytest.raises(InputError, match=r"cannot be read as an archive .*memory"):
        scan(str(tmp_path / "a.tar.xz"), ImportOptions(workspace=tmp_path / "unpacked"))


def test_a_zip_with_a_list_of_gigabytes_is_refused(tmp_path: Path) -> None:
    size = 3_000 * MB
    with (tmp_path / "a.zip").open("wb") as file:
        file.truncate(size)
        file.seek(size)
        file.write(b"PK\x05\x06" + bytes(4) + (1).to_bytes(2, "little") * 2 + size.to_bytes(4, "little") + bytes(6))
    with pytest.raises(InputError, match="its list of members has 3,000 MB"):
        scan(str(tmp_path / "a.zip"), ImportOptions(workspace=tmp_path / "unpacked"))


def test_members_packed_by_a_method_with_a_memory_of_its_own_are_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.write(save(tmp_path / "p.jpg"), "p.jpg")
    assert "compressed in a way that is not read" in problems(tmp_path / "a.zip", tmp_path / "unpacked")[0].reason


def test_parquet_cells_are_read_one_at_a_time_and_large_ones_refused(tmp_path: Path) -> None:
    """Twelve rows of one cell of 30 MB that the file holds once: together they were more than 700 MB."""
    photo = save(tmp_path / "p.jpg").read_bytes()
    cells = pa.DictionaryArray.from_arrays(pa.array([0, *[1] * 12, 0]), pa.array([photo, bytes(30 * MB)]))
    pq.write_table(pa.table({"image": cells}), tmp_path / "a.parquet", compression="zstd")
    before = "from tidal_core.images.importers import parquet, scan; parquet.MAX_CELL_BYTES = 20_000_000"
    code = f"print([type(item).__name__ for item in scan({str(tmp_path / 'a.parquet')!r}).items])"
    grown, printed = megabytes(before, code)
    assert json.loads(printed.replace("'", '"')) == ["FoundImage", *["ImportProblem"] * 12, "FoundImage"]
    assert grown < 400


def test_a_parquet_cell_that_is_not_kept_is_read_when_its_turn_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = [save(tmp_path / f"{i}.png", size=(20 + i, 20)).read_bytes() for i in range(4)]
    pq.write_table(pa.table({"image": photos}), tmp_path / "a.parquet", row_group_size=2)
    monkeypatch.setattr("tidal_core.images.importers.parquet._HELD_BYTES", 10)
    images = [item for item in scan(str(tmp_path / "a.parquet")).items if isinstance(item, FoundImage)]
    assert [image.opener for image in images] == [None] * 4
    assert [image.read() for image in images] == photos
    assert read_uri(images[3].uri) == photos[3]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_line_without_end_is_named_and_the_next_is_read(tmp_path: Path, suffix: str) -> None:
    lines = {
        "csv": ["path,label", "a.jpg,cat", "x" * 30 * MB, "b.jpg,dog"],
        "jsonl": ['{"path": "a.jpg"}', '{"path": "' + "x" * 30 * MB, '{"path": "b.jpg"}'],
    }[suffix]
    source = tmp_path / f"a.{suffix}"
    source.write_text("\n".join(lines))
    before = "from tidal_core.images.importers.rows import read_rows; from pathlib import Path"
    code = f"for row in read_rows(Path({str(source)!r})).each(): print(row)"
    grown, printed = megabytes(before, code)
    assert "a.jpg" in printed
    assert "b.jpg" in printed
    assert f"line {lines.index(max(lines, key=len)) + 1}', reason='it has more than 1,048,576 letters" in printed
    assert grown < 25  # a line is never read whole


def test_a_header_of_a_million_columns_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("path," + "," * 900_000)
    with pytest.raises(InputError, match="10,000 are the limit"):
        read_rows(tmp_path / "a.csv")


def test_a_json_file_that_is_too_large_to_read_whole_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(json_file.MAX_JSON_BYTES + 1)
    with pytest.raises(InputError, match="larger than 100 MB; export it in parts"):
        scan(str(tmp_path / "a.json"))


BAD_CELLS = (
    *(
        "ftp://127.0.0.1:9/a.jpg",
        "zip://a::",
        "zip://a.jpg::https://127.0.0.1:9/a.zip",
        "file://",
        "file://[::1",
        "://",
    ),
    *(
        "https://",
        "https://[::1",
        "s3://",
        "memory://",
        "local:///etc/passwd",
        "simplecache::https://127.0.0.1:9/a.jpg",
    ),
    *(
        "reference://a",
        "github://a:b@c/d.jpg",
        "FTP://x/a.jpg",
        "parquet:",
        "parquet:a#x/y",
        "digits:",
        "digits:\u00b2",
    ),
    *("digits:" + "9" * 5_000, "file:%00", "a\0.jpg", "\ud800.jpg", "\u202egpj.a", "x" * 300 + ".jpg", "a/" * 6_000),
    *("~", ".", "..", "/", "//", "/dev/zero", "/dev/stdin", "NaN", "1e999", "\U0010ffff", "a\n.jpg"),
)


@pytest.mark.parametrize("kind", ["json", "jsonl", "parquet", "csv", "coco", "label studio"])
def test_a_bad_cell_is_named_and_everything_else_comes_in(project: Project, tmp_path: Path, kind: str) -> None:
    save(tmp_path / "first.jpg", size=(20, 20))
    save(tmp_path / "last.jpg", size=(30, 20))
    cells = ["first.jpg", *BAD_CELLS, "last.jpg"]
    source = tmp_path / f"a.{kind if '.' not in kind and ' ' not in kind and kind != 'coco' else 'json'}"
    rows = [{"path": cell, "label": 10**30 if cell == "." else "cat"} for cell in cells]
    if kind == "json":
        source.write_text(json.dumps(rows))
    elif kind == "jsonl":
        source.write_text("\n".join([json.dumps(row) for row in rows[:-1]] + ["[" * 100_000, json.dumps(rows[-1])]))
    elif kind == "coco":
        source.write_text(json.dumps({"images": [{"id": i, "file_name": cell} for i, cell in enumerate(cells)]}))
    elif kind == "label studio":
        source.write_text(json.dumps([{"data": {"image": cell}} for cell in cells]))
    else:
        texts = [cell.encode("utf-8", "replace").decode() for cell in cells]
        if kind == "parquet":
            pq.write_table(pa.table({"path": texts}), source)
        else:
            source.write_text("\n".join(["path", *(f'"{text}"' for text in texts)]), encoding="utf-8")
    options = ImportOptions(columns=Columns(image=None if kind in {"coco", "label studio"} else "path"))
    report = ingest(project, str(source), labels="answers", options=options)
    assert [image.name for image in project.store.images.all()] == ["first.jpg", "last.jpg"]
    assert report.read == 2
    assert len(report.problems) >= 20


def test_a_source_that_breaks_off_keeps_what_came_before(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = save(tmp_path / "first.jpg", size=(20, 20))
    whole = scan(str(tmp_path))

    def breaking() -> Iterator[FoundImage]:
        yield FoundImage("first.jpg", str(photo))
        raise KeyError("a fault that nobody thought of")

    monkeypatch.setattr(
        "tidal_core.images.ingest.scan", lambda *_: type(whole)(whole.source, whole.importer, breaking())
    )
    report = ingest(project, str(tmp_path))
    assert report.read == project.store.images.count() == 1
    assert (
        "it cannot be read any further (an entry 'a fault that nobody thought of' is missing in it)"
        in report.problems[0].reason
    )


def test_a_table_whose_first_rows_are_damaged_is_refused_in_words(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"path": [f"{number}.jpg" for number in range(40)]}), file, use_dictionary=False)
    body = bytearray(file.read_bytes())
    body[40:60] = bytes(20)  # the packed cells; header and footer are whole
    file.write_bytes(body)
    for look in (scan, preview):
        with pytest.raises(InputError, match="it is damaged"):
            look(str(file))
