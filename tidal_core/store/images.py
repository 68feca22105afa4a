"""Images of a project: what they are, where they lie, which split they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidal_core.errors import NotFound
from tidal_core.records import ImageRecord, ImageStatus, Int64, Split
from tidal_core.store.columns import insert, utc_now
from tidal_core.store.database import Database

_NAMES_AT_MOST = 2_000
_COLUMNS = "id, uri, name, sha256, width, height, bytes, split, known_class, status, pixel_row, audit_order, phash"


def _image(row: tuple[Any, ...]) -> ImageRecord:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    values["split"] = Split(values["split"])
    values["status"] = ImageStatus(values["status"])
    return ImageRecord(**values)


class KnownFile(NamedTuple):
    """What was imported from one URI. ``imported_at`` is in seconds since 1970 (UTC), as file times are."""

    id: int
    bytes: int
    imported_at: float


class NamesInUse(NamedTuple):
    """What images of a project are called."""

    folders: list[str]  # "train/tulips", of those in one
    stems: list[str]  # files without folder, ending and digits
    known_classes: bool  # whether an import brought classes


class Images:
    """The table ``images``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, images: Sequence[ImageRecord]) -> None:
        """Add images in one transaction; ids come from ``next_id``."""
        if not images:
            return
        now = utc_now()
        columns: dict[str, list[Any]] = {
            name: [getattr(image, name) for image in images] for name in _COLUMNS.split(", ")
        }
        columns["split"] = [image.split.value for image in images]
        columns["status"] = [image.status.value for image in images]
        columns["imported_at"] = [now] * len(images)
        # Columns that may hold nothing but None, or numbers beyond a signed 64-bit integer, need their type said.
        for name, kind in (("known_class", pa.int32()), ("audit_order", pa.int32()), ("phash", pa.uint64())):
            columns[name] = pa.array(columns[name], type=kind)
        with self._db.write() as cursor:
            insert(cursor, "images", columns)

    def next_id(self) -> int:
        """The id for the next image; ids count from 1."""
        return int(self._db.value("SELECT coalesce(max(id), 0) + 1 FROM images"))

    def next_pixel_row(self) -> int:
        """The first row of pixels.npy that no image owns."""
        return int(self._db.value("SELECT coalesce(max(pixel_row) + 1, 0) FROM images"))

    def get(self, image_id: int) -> ImageRecord:
        """One image. Raises NotFound."""
        row = self._db.row(f"SELECT {_COLUMNS} FROM images WHERE id = ?", [image_id])
        if row is None:
            raise NotFound(f"There is no image {image_id} in this project; reload the page.")
        return _image(row)

    def many(self, image_ids: Iterable[int]) -> list[ImageRecord]:
        """Images by id, in the order asked; ids that do not exist are left out."""
        wanted = [int(i) for i in image_ids]
        rows = self._db.rows(
            f"SELECT {_COLUMNS} FROM images WHERE id IN (SELECT unnest(?::INTEGER[]))",
            [wanted],
        )
        images_by_id = {row[0]: _image(row) for row in rows}
        return [images_by_id[i] for i in wanted if i in images_by_id]

    def find(self, text: str, limit: int = 20) -> list[ImageRecord]:
        """Images whose id is, or whose name contains, the text."""
        rows = self._db.rows(
            f"SELECT {_COLUMNS} FROM images WHERE id = try_cast(? AS INTEGER) OR contains(lower(name), lower(?)) "
            "ORDER BY id = coalesce(try_cast(? AS INTEGER), -1) DESC, id LIMIT ?",
            [text, text, text, limit],
        )
        return [_image(row) for row in rows]

    def all(self, split: Split | None = None) -> list[ImageRecord]:
        """All images, by id."""
        rows = self._db.rows(
            f"SELECT {_COLUMNS} FROM images WHERE ?::TEXT IS NULL OR split = ? ORDER BY id",
            [split, split],
        )
        return [_image(row) for row in rows]

    def count(self, split: Split | None = None) -> int:
        """How many images, of one split or of both."""
        return int(self._db.value("SELECT count(*) FROM images WHERE ?::TEXT IS NULL OR split = ?", [split, split]))

    def addresses(self) -> list[str]:
        """How the addresses of images elsewhere begin (``https://example.com``), each once."""
        rows = self._db.rows(
            "SELECT DISTINCT regexp_extract(uri, '^[a-z][a-z0-9+.-]+://[^/]*') FROM images WHERE contains(uri, '://')"
        )
        return [str(row[0]) for row in rows if row[0]]

    def names_in_use(self) -> NamesInUse:
        """What images are called: their folders and their files without numbers, of each up to 2,000 different ones."""
        last = "parse_filename(name, false, 'forward_slash')"
        folders, stems = (
            [str(row[0]) for row in self._db.rows(f"SELECT DISTINCT {part} AS part FROM images LIMIT {_NAMES_AT_MOST}")]
            for part in (
                "parse_dirpath(name, 'forward_slash')",
                f"regexp_replace(regexp_replace({last}, '\\.[^.]*$', ''), '[0-9]+', '', 'g')",
            )
        )
        return NamesInUse([folder for folder in folders if folder], stems, self.has_known_classes())

    def median_side(self) -> float:
        """The median of the images' shortest sides in pixels; 0 without images."""
        return float(self._db.value("SELECT coalesce(median(least(width, height)), 0) FROM images"))

    def count_through(self, image_id: int) -> int:
        """How many images have this id or a smaller one."""
        return int(self._db.value("SELECT count(*) FROM images WHERE id <= ?", [image_id]))

    def after(self, image_id: int, n: int) -> list[ImageRecord]:
        """The next n images behind an id, by id: to go through a large project piece by piece."""
        rows = self._db.rows(f"SELECT {_COLUMNS} FROM images WHERE id > ? ORDER BY id LIMIT ?", [image_id, n])
        return [_image(row) for row in rows]

    def count_in_audit_order(self) -> int:
        """How many pool images have a place in the audit order."""
        return int(self._db.value("SELECT count(*) FROM images WHERE audit_order IS NOT NULL AND split = 'pool'"))

    def ids_by_sha(self) -> dict[str, int]:
        """Content hash to id, for imports that must not add an image twice."""
        return dict(self._db.rows("SELECT sha256, id FROM images"))

    def set_places(self, places: Sequence[tuple[int, str, str]]) -> None:
        """Say where images (id, URI, name) lie now: their files were moved."""
        ids, uris, names = zip(*places, strict=True)
        table = pa.table({"id": pa.array(ids, pa.int32()), "uri": pa.array(uris), "name": pa.array(names)})
        with self._db.write() as cursor:
            cursor.register("moved_images", table)
            cursor.execute("UPDATE images SET uri = m.uri, name = m.name FROM moved_images m WHERE images.id = m.id")
            cursor.unregister("moved_images")

    def known_files(self) -> dict[str, KnownFile]:
        """URI to what was imported from it, for imports that need not read an unchanged file again."""
        rows = self._db.rows("SELECT uri, id, bytes, epoch(imported_at) FROM images")
        return {row[0]: KnownFile(*row[1:]) for row in rows}

    def hashes(self) -> tuple[Int64, NDArray[np.uint64], Int64]:
        """Ids, perceptual hashes and rows of pixels.npy of the images that have a hash, by id."""
        table = self._db.arrays("SELECT id, phash, pixel_row FROM images WHERE phash IS NOT NULL ORDER BY id")
        return (
            np.asarray(table["id"], dtype=np.int64),
            np.asarray(table["phash"], dtype=np.uint64),
            np.asarray(table["pixel_row"], dtype=np.int64),
        )

    def known_classes(self) -> dict[int, int]:
        """Known classes by image id; images without one are left out."""
        return dict(self._db.rows("SELECT id, known_class FROM images WHERE known_class IS NOT NULL"))

    def has_known_classes(self) -> bool:
        """Whether the source named the class of any image."""
        return bool(self._db.value("SELECT EXISTS (SELECT 1 FROM images WHERE known_class IS NOT NULL)"))

    def audit_order(self) -> tuple[Int64, list[str], Int64]:
        """Ids, content hashes and places in the audit order (-1 for none yet) of all pool images, by id."""
        table = self._db.arrays(
            "SELECT id, sha256, coalesce(audit_order, -1) AS place FROM images WHERE split = 'pool' ORDER BY id"
        )
        return (
            np.asarray(table["id"], dtype=np.int64),
            [str(content) for content in table["sha256"]],
            np.asarray(table["place"], dtype=np.int64),
        )

    def pixel_rows(self, image_ids: Int64) -> Int64:
        """Rows of pixels.npy for these images, aligned with them. Raises NotFound for an unknown id."""
        ids, rows = self.ids_and_pixel_rows()
        wanted = np.asarray(image_ids, dtype=np.int64)
        positions = np.searchsorted(ids, wanted)
        if wanted.size and (positions.max() >= len(ids) or not np.array_equal(ids[positions], wanted)):
            missing = sorted(set(wanted.tolist()) - set(ids.tolist()))
            raise NotFound(f"There is no image {missing[0]} in this project; reload the page.")
        return rows[positions]

    def ids_and_pixel_rows(self) -> tuple[Int64, Int64]:
        """Ids of all images, and their rows of pixels.npy, by id."""
        table = self._db.arrays("SELECT id, pixel_row FROM images ORDER BY id")
        return np.asarray(table["id"], dtype=np.int64), np.asarray(table["pixel_row"], dtype=np.int64)

    def ids(self) -> Int64:
        """All images, by id."""
        return np.asarray(self._db.arrays("SELECT id FROM images ORDER BY id")["id"], dtype=np.int64)

    def count_known_left(self) -> tuple[int, int]:
        """Images to ask that have a known class: how many at all, and how many that nobody labelled or skipped."""
        row = self._db.row(
            """
            SELECT count(*), count(*) FILTER (a.image_id IS NULL) FROM images i
            LEFT JOIN current_answers a ON a.image_id = i.id
            WHERE i.split = 'pool' AND i.status = 'ready' AND i.known_class IS NOT NULL
            """
        )
        return (int(row[0]), int(row[1])) if row else (0, 0)

    def unlabelled_ids(self) -> Int64:
        """Pool images that are ready and have no label or skip that stands, by id."""
        table = self._db.arrays(
            """
            SELECT id FROM images
            WHERE split = 'pool' AND status = 'ready' AND id NOT IN (SELECT image_id FROM current_answers)
            ORDER BY id
            """
        )
        return np.asarray(table["id"], dtype=np.int64)

    def test_set(self) -> tuple[Int64, Int64]:
        """Test images with a known class that nobody excluded: ids and class ids.

        A class that was merged is what it was merged into.
        """
        table = self._db.arrays(
            """
            SELECT i.id, coalesce(c.merged_into, i.known_class) AS class_id
            FROM images i LEFT JOIN classes c ON c.id = i.known_class
            WHERE i.split = 'test' AND i.status <> 'excluded' AND i.known_class IS NOT NULL ORDER BY i.id
            """
        )
        return np.asarray(table["id"], dtype=np.int64), np.asarray(table["class_id"], dtype=np.int64)

    def front_of_audit_order(self, n: int) -> Int64:
        """The first n pool images of the audit order, in that order, answered or not."""
        table = self._db.arrays(
            "SELECT id FROM images WHERE audit_order < ? AND split = 'pool' ORDER BY audit_order", [n]
        )
        return np.asarray(table["id"], dtype=np.int64)

    def set_audit_order(self, image_ids: Int64) -> None:
        """Fix the random order of audit images: position = index in the array."""
        with self._db.write() as cursor:
            cursor.register("audit_order_in", pa.table({"id": image_ids, "position": np.arange(len(image_ids))}))
            cursor.execute("UPDATE images SET audit_order = a.position FROM audit_order_in a WHERE a.id = images.id")
            cursor.unregister("audit_order_in")

    def set_status(self, image_ids: Iterable[int], status: ImageStatus) -> None:
        """Show, hide or mark images as missing."""
        with self._db.write() as cursor:
            cursor.execute(
                "UPDATE images SET status = ? WHERE id IN (SELECT unnest(?::INTEGER[]))",
                [status.value, [int(i) for i in image_ids]],
            )

    def set_uris(self, uris: dict[int, str]) -> None:
        """Tell where images lie now: image id to URI."""
        with self._db.write() as cursor:
            columns = {"id": np.array(list(uris), dtype=np.int64), "uri": pa.array(list(uris.values()), pa.string())}
            cursor.register("uris_in", pa.table(columns))
            cursor.execute("UPDATE images SET uri = u.uri FROM uris_in u WHERE u.id = images.id")
            cursor.unregister("uris_in")

    def hold_out(self, image_ids: Iterable[int]) -> None:
        """Make test images of pool images that nobody has answered: they lose their place in the audit order."""
        with self._db.write() as cursor:
            ids = [int(image_id) for image_id in image_ids]
            cursor.execute(
                "UPDATE images SET split = 'test', audit_order = NULL WHERE id IN (SELECT unnest($1::INTEGER[])) "
                "AND id NOT IN (SELECT image_id FROM answers)",
                [ids],
            )
            cursor.execute(
                "DELETE FROM queue WHERE image_id IN (SELECT unnest($1::INTEGER[])) "
                "AND image_id IN (SELECT id FROM images WHERE split = 'test')",
                [ids],
            )

    def set_known_classes(self, known: dict[int, int]) -> None:
        """Set the known class of images: image id to class id. Known classes are never trained on in the studio."""
        with self._db.write() as cursor:
            columns = {"id": np.array(list(known), dtype=np.int64), "known": np.array(list(known.values()))}
            cursor.register("known_in", pa.table(columns))
            cursor.execute("UPDATE images SET known_class = k.known FROM known_in k WHERE k.id = images.id")
            cursor.unregister("known_in")
