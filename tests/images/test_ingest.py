"""From a source to images in the project."""

import os
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.gates import Gate
from tests.images.photos import FLOWERS, encoded, picture, save
from tidal_core.config import PixelSpec, ProjectSettings
from tidal_core.errors import InputError
from tidal_core.images import ingest as module
from tidal_core.images.ingest import ingest
from tidal_core.images.pixels import PixelStore
from tidal_core.images.pixels.array_file import ArrayFile
from tidal_core.images.squares import square_of
from tidal_core.projects import Project, create_project, open_project
from tidal_core.records import AnswerMode, ImageStatus, ImportProgress, ImportReport, Split


def reasons(report: ImportReport) -> dict[str, str]:
    return {problem.name: problem.reason for problem in report.problems}


def test_every_image_is_in_the_store_and_in_the_pixel_cache(project: Project, photos: Path) -> None:
    report = ingest(project, str(photos))

    images = project.store.images.all()
    assert (report.read, report.known, report.duplicates, report.problems) == (5, 0, 0, ())
    assert [image.name for image in images] == [
        "daisy/1.jpg",
        "daisy/2.jpg",
        "daisy/10.jpg",
        "rose/1.jpg",
        "rose/2.jpg",
    ]
    assert all(Path(image.uri).read_bytes() for image in images)
    for image in images:
        expected = square_of(Path(image.uri).read_bytes(), image.name, 16)
        assert np.array_equal(PixelStore(project.pixels)[image.pixel_row], expected)


def test_without_being_asked_labels_stay_out(project: Project, photos: Path) -> None:
    ingest(project, str(photos))

    assert project.store.classes.all() == []
    assert {image.known_class for image in project.store.images.all()} == {None}


def test_folder_names_become_known_classes_when_asked(project: Project, photos: Path) -> None:
    report = ingest(project, str(photos), labels="known")

    names = {record.id: record.name for record in project.store.classes.all()}
    assert report.labels == 5
    assert [names[image.known_class or 0] for image in project.store.images.all()] == ["daisy"] * 3 + ["rose"] * 2
    assert project.store.answers.count() == 0


def test_labels_can_become_answers_of_the_annotator_import(project: Project, photos: Path) -> None:
    report = ingest(project, str(photos), labels="answers")

    stored = project.store.answers.all()
    assert report.labels == 5 == len(stored)
    assert {(event.answer.annotator, event.answer.mode) for event in stored} == {("import", AnswerMode.IMPORT)}
    assert sorted(project.store.answers.counts_by_class().values()) == [2, 3]


@pytest.mark.parametrize("labels", ["none", "known", "answers"])
def test_importing_twice_adds_nothing(project: Project, photos: Path, labels: str) -> None:
    ingest(project, str(photos), labels=labels)  # type: ignore[arg-type]
    before = (project.store.images.all(), project.store.answers.all())

    report = ingest(project, str(photos), labels=labels)  # type: ignore[arg-type]

    assert (report.read, report.known, report.labels) == (0, 5, 0)
    assert (project.store.images.all(), project.store.answers.all()) == before


def test_files_added_later_are_just_added(project: Project, photos: Path) -> None:
    ingest(project, str(photos), labels="known")
    before = project.store.images.all()
    save(photos / "tulip" / "1.jpg", seed=50)

    report = ingest(project, str(photos), labels="known")

    after = project.store.images.all()
    assert (report.read, report.known, report.labels) == (1, 5, 1)
    assert [image.id for image in after] == [*(image.id for image in before), 6]
    assert after[-1].pixel_row == 5


def test_labels_can_be_asked_for_later(project: Project, photos: Path) -> None:
    ingest(project, str(photos))

    report = ingest(project, str(photos), labels="known")

    assert (report.read, report.labels) == (0, 5)
    assert all(image.known_class for image in project.store.images.all())


def test_equal_content_is_one_image_whatever_its_names(project: Project, photos: Path) -> None:
    (photos / "copy.jpg").write_bytes((photos / "daisy" / "1.jpg").read_bytes())

    report = ingest(project, str(photos))

    assert (report.read, report.duplicates) == (5, 1)
    assert "content is the same" in reasons(report)["daisy/1.jpg"]


def test_a_moved_folder_is_known_by_its_content(project: Project, photos: Path) -> None:
    ingest(project, str(photos))
    photos.rename(photos.with_name("elsewhere"))

    report = ingest(project, str(photos.with_name("elsewhere")))

    assert (report.read, report.known) == (0, 5)


def test_a_renamed_file_is_found_again_and_a_copy_is_not_taken_for_one(project: Project, photos: Path) -> None:
    ingest(project, str(photos))
    before = {image.id: image.name for image in project.store.images.all()}
    (photos / "daisy/1.jpg").rename(photos / "daisy/first.jpg")
    (photos / "rose/copy.jpg").write_bytes((photos / "rose/1.jpg").read_bytes())

    report = ingest(project, str(photos))

    after = {image.id: image for image in project.store.images.all()}
    assert (report.read, report.known) == (0, 6)
    assert reasons(report) == {"daisy/first.jpg": "moved or renamed since the last import; labels and rounds are kept"}
    assert Path(after[1].uri).read_bytes()
    assert {image.name for image in after.values()} == {*before.values(), "daisy/first.jpg"} - {"daisy/1.jpg"}


def test_a_file_whose_content_changed_is_a_new_image(project: Project, photos: Path) -> None:
    ingest(project, str(photos))
    save(photos / "rose" / "1.jpg", seed=77)
    os.utime(photos / "rose" / "1.jpg", (4e9, 4e9))

    report = ingest(project, str(photos))

    assert (report.read, report.known) == (1, 4)


def test_broken_files_are_reported_by_name_and_the_rest_is_read(project: Project, photos: Path) -> None:
    (photos / "empty.jpg").write_bytes(b"")
    (photos / "rose" / "cut.jpg").write_bytes((photos / "rose" / "1.jpg").read_bytes()[:300])
    (photos / "notes.txt").write_text("hello")

    report = ingest(project, str(photos))

    assert report.read == 5
    assert set(reasons(report)) == {"empty.jpg", "rose/cut.jpg", "notes.txt"}
    assert all(problem.remedy for problem in report.problems)


def test_a_test_folder_is_the_test_split_when_its_labels_are_used(project: Project, tmp_path: Path) -> None:
    save(tmp_path / "p" / "train" / "a" / "1.jpg", seed=1)
    save(tmp_path / "p" / "test" / "a" / "2.jpg", seed=2)

    report = ingest(project, str(tmp_path / "p"), labels="answers")

    test = project.store.images.all(Split.TEST)
    assert report.labels == 2
    assert [(image.name, image.known_class) for image in test] == [("test/a/2.jpg", 1)]
    answered = [project.store.images.get(stored.answer.image_id).name for stored in project.store.answers.all()]
    assert answered == ["train/a/1.jpg"]


def test_without_labels_nothing_is_set_aside_for_testing(project: Project, tmp_path: Path) -> None:
    save(tmp_path / "p" / "test" / "a" / "2.jpg")

    ingest(project, str(tmp_path / "p"))

    assert project.store.images.count(Split.POOL) == 1


def test_the_digits_come_with_500_test_images(project: Project) -> None:
    report = ingest(project, "digits:", labels="known")

    assert (report.read, report.duplicates, report.near_duplicates) == (1_797, 0, 0)
    assert project.store.images.count(Split.TEST) == 500
    assert [(record.name, record.key) for record in project.store.classes.all()] == [
        (str(d), str(d)) for d in range(10)
    ]
    assert sorted(image.audit_order or 0 for image in project.store.images.all(Split.POOL)) == list(range(1_297))
    assert {image.audit_order for image in project.store.images.all(Split.TEST)} == {None}
    assert ingest(project, "digits:", labels="known").known == 1_797


def test_the_audit_order_is_the_same_each_time_and_differs_with_the_seed(photos: Path) -> None:
    orders = []
    for seed in (0, 0, 1):
        made = create_project(f"seed {seed} {len(orders)}", ProjectSettings(seed=seed, training_size=16))
        ingest(made, str(photos))
        orders.append([image.audit_order for image in made.store.images.all()])
        made.close()

    assert orders[0] == orders[1] != orders[2]
    assert sorted(position or 0 for position in orders[0]) == [0, 1, 2, 3, 4]


def test_images_added_later_fall_anywhere_in_the_audit_order_and_the_others_keep_theirs(
    project: Project, tmp_path: Path
) -> None:
    for seed in range(30):
        save(tmp_path / "p" / f"{seed}.png", seed=seed, kind="PNG")
    ingest(project, str(tmp_path / "p"))
    before = [image.id for image in sorted(project.store.images.all(), key=lambda image: image.audit_order or 0)]
    for seed in range(30, 60):
        save(tmp_path / "p" / f"{seed}.png", seed=seed, kind="PNG")

    ingest(project, str(tmp_path / "p"))

    after = [image.id for image in sorted(project.store.images.all(), key=lambda image: image.audit_order or 0)]
    assert [image_id for image_id in after if image_id <= 30] == before
    assert 5 <= sum(image_id > 30 for image_id in after[:30]) <= 25


def test_a_picture_saved_again_is_reported_and_can_be_kept_out_of_the_queue(project: Project, tmp_path: Path) -> None:
    original = Image.fromarray(picture(400, 300, seed=3))
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a.png").write_bytes(encoded(original))
    (tmp_path / "p" / "b.jpg").write_bytes(encoded(original.resize((200, 150)), "JPEG", quality=85))
    save(tmp_path / "p" / "c.jpg", seed=9)

    report = ingest(project, str(tmp_path / "p"), hide_near_duplicates=True)

    assert (report.read, report.near_duplicates) == (3, 1)
    assert reasons(report) == {"p": "1 image looks the same as another one: b.jpg like a.png"}
    assert [image.status for image in project.store.images.all()] == [
        ImageStatus.READY,
        ImageStatus.HIDDEN,
        ImageStatus.READY,
    ]


def test_an_import_can_be_cancelled_and_goes_on_later(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_IN_FLIGHT", 2)
    for seed in range(20):
        save(tmp_path / "p" / f"{seed}.jpg", seed=seed)
    stops = iter([False] * 8 + [True] * 99)

    report = ingest(project, str(tmp_path / "p"), should_stop=lambda: next(stops))

    assert report.cancelled
    assert report.read == 8 == project.store.images.count()
    assert ingest(project, str(tmp_path / "p")).read == 12
    assert project.store.images.count() == 20


def test_progress_tells_files_speed_and_time_left(
    project: Project, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PROGRESS_SECONDS", 0.0)
    seen: list[ImportProgress] = []

    ingest(project, "digits:", progress=seen.append)

    assert seen[-1].done == seen[-1].total == seen[-1].read == 1_797
    assert [step.done for step in seen] == sorted(step.done for step in seen)
    assert seen[500].per_second > 0
    assert (seen[500].seconds_left or 0) > 0


def test_the_first_images_can_be_used_while_the_rest_is_coming_in(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BATCH_IMAGES", 4)
    monkeypatch.setattr(module, "_IN_FLIGHT", 2)
    for seed in range(20):
        save(tmp_path / "p" / f"{seed}.jpg", seed=seed)
    counts = []

    def look() -> bool:
        counts.append(project.store.images.count())
        return False

    ingest(project, str(tmp_path / "p"), should_stop=look)

    assert {0, 4, 8, 12} <= set(counts)


def test_two_imports_at_once_are_refused(project: Project, photos: Path) -> None:
    gate = Gate()

    def hold() -> bool:
        gate.stop_here()
        return False

    first = threading.Thread(target=lambda: ingest(project, str(photos), should_stop=hold))
    first.start()
    with gate:
        gate.wait_reached()
        with pytest.raises(InputError, match="is running; wait until it ends, or cancel it"):
            ingest(project, str(photos))
    first.join()

    assert project.store.images.count() == 5


def test_a_full_disk_stops_the_import_with_a_message_and_keeps_what_was_read(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BATCH_IMAGES", 4)
    for seed in range(10):
        save(tmp_path / "p" / f"{seed}.jpg", seed=seed)
    write, calls = ArrayFile.write, Counter[str]()

    def full(self: ArrayFile, first: int, squares: np.ndarray) -> None:
        calls["write"] += 1
        if calls["write"] == 2:
            raise OSError(28, "No space left on device")
        write(self, first, squares)

    monkeypatch.setattr(ArrayFile, "write", full)

    with pytest.raises(InputError, match="No space left on device"):
        ingest(project, str(tmp_path / "p"))
    assert project.store.images.count() == 4
    assert ingest(project, str(tmp_path / "p")).read == 6


def test_pixels_left_by_a_killed_import_are_written_over(project: Project, photos: Path) -> None:
    with PixelStore(project.pixels).writer(PixelSpec(16)) as cache:
        cache.write(0, np.full((3, 16, 16, 3), 7, dtype=np.uint8))

    ingest(project, str(photos))

    first = project.store.images.get(1)
    assert np.array_equal(PixelStore(project.pixels)[0], square_of(Path(first.uri).read_bytes(), "a", 16))


def test_what_was_refused_stands_first_and_near_duplicates_are_one_line(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    for number in range(6):
        picture_again = Image.fromarray(picture(200, 150, seed=3))
        (folder / f"{number}.jpg").write_bytes(encoded(picture_again, "JPEG", quality=95 - number))
    (folder / "7.jpg").write_bytes(b"")
    (folder / "8.png").write_bytes(b"<html>")
    (folder / "0.txt").write_bytes(b"a note")

    report = ingest(project, str(folder))

    assert (report.read, report.near_duplicates) == (6, 5)
    assert [problem.name for problem in report.problems] == ["7.jpg", "8.png", "p", "0.txt"]
    assert "5 images look the same as another one: 1.jpg like 0.jpg, " in reasons(report)["p"]


def test_a_label_in_another_case_is_the_same_class_and_a_new_one_is_said(project: Project, tmp_path: Path) -> None:
    project.store.classes.add(["Daisy", "rose"])
    for name in ("daisy/1.jpg", "rose/2.jpg", "tulip/3.jpg"):
        save(tmp_path / "p" / name, seed=len(name))

    save(tmp_path / "p" / "tulip" / "3.jpg", seed=3)
    report = ingest(project, str(tmp_path / "p"), labels="known")

    assert [record.name for record in project.store.classes.all()] == ["Daisy", "rose", "tulip"]
    assert "taken as the class 'Daisy'" in reasons(report)["class daisy"]


def test_labels_that_disagree_within_one_source_are_reported_and_the_first_stands(
    project: Project, photos: Path
) -> None:
    (photos / "rose" / "3.jpg").write_bytes((photos / "daisy" / "1.jpg").read_bytes())

    report = ingest(project, str(photos), labels="answers")

    assert "both 'daisy' (daisy/1.jpg) and 'rose' (rose/3.jpg)" in [problem.reason for problem in report.problems][-1]
    assert report.labels == 5
    assert sorted(project.store.answers.counts_by_class().values()) == [2, 3]


def test_an_imported_label_that_a_person_corrected_is_not_imported_again(project: Project, photos: Path) -> None:
    from tidal_core.records import Answer, AnswerKind

    ingest(project, str(photos), labels="answers")
    project.store.answers.record([Answer("corrected", AnswerKind.LABEL, image_id=1, class_id=2)])

    report = ingest(project, str(photos), labels="answers")

    assert report.labels == 0
    current = project.store.answers.current(1)
    assert current is not None
    assert current.answer.class_id == 2


def test_everything_is_there_after_closing_and_opening_again(project: Project, photos: Path) -> None:
    ingest(project, str(photos), labels="known")
    before = project.store.images.all()
    project.close()

    again = open_project("flowers")

    assert again.store.images.all() == before
    again.close()


@pytest.mark.skipif(not FLOWERS.exists(), reason="the shared flower photos are not on this machine")
def test_350_flower_photos_are_read_without_a_problem(project: Project) -> None:
    report = ingest(project, str(FLOWERS), labels="known")

    assert (report.read, report.problems) == (350, ())
    assert [record.name for record in project.store.classes.all()] == sorted(
        path.name for path in FLOWERS.iterdir() if path.is_dir()
    )
