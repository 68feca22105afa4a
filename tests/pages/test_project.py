"""The Project page: images in, classes, settings, labels out."""

import io
from pathlib import Path

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests.helpers.finished import finish_round
from tests.helpers.gates import WAIT_SECONDS, wait_for
from tests.helpers.tiny import label_next, tiny_project
from tests.helpers.training import brief
from tidal_core.config import PRESETS
from tidal_core.engine.speed_trial import WAYS, Speeds, Trial, way_name
from tidal_core.images.jobs import ImportJob, Job
from tidal_core.records import Answer, AnswerKind, ImportProblem, ImportReport
from tidal_core.server.studio import Studio
from tidal_core.ui import import_view
from tidal_core.ui.project_parts import PRESET_WORDS

ROOT = Path(__file__).parents[2]


def page(slug: str = "tiny") -> AppTest:
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS)
    test.session_state["project"] = slug
    return test.switch_page("pages/project.py").run()


def numbers(test: AppTest) -> dict[str, str]:
    """What the page counts."""
    return {metric.label: metric.value for metric in test.metric}


def ended(studio: Studio, slug: str) -> Job:
    """The project's last work on its images, once it has ended."""
    job = studio.import_job(slug)
    assert job is not None
    wait_for(lambda: not job.running)
    return job


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name, colour in (("cat", "red"), ("dog", "blue")):
        (folder / name).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (40 + i, 30), colour).save(folder / name / f"{i}.png")
    (folder / "cat" / "broken.jpg").write_bytes(b"\xff\xd8\xff not a photo")
    return folder


def test_every_training_that_can_be_chosen_has_words() -> None:
    assert list(PRESET_WORDS) == list(PRESETS)


def test_the_demo_is_made_when_it_is_opened_for_the_first_time(studio: Studio) -> None:
    shown = page("digits")
    assert not shown.exception
    assert numbers(shown)["Images"] == numbers(shown)["Still to label"] == "1,297"
    assert numbers(shown)["Test images"] == "500"


def test_a_new_project_imports_its_folder_and_names_what_cannot_be_read(studio: Studio, photos: Path) -> None:
    tiny_project().close()
    shown = page()
    next(field for field in shown.text_input if field.label == "Name").set_value("flowers")
    shown.text_input(key="new-source").set_value(str(photos))
    shown.selectbox(key="new-labels").set_value("known")
    next(b for b in shown.button if b.label == "Create").click()
    shown.run()
    assert not shown.exception
    job = ended(studio, "flowers")
    assert job.error is None
    assert job.report is not None
    assert job.report.read == 6
    assert any("broken.jpg" in problem.name for problem in job.report.problems)
    project = studio.project("flowers")
    assert [record.name for record in project.store.classes.all()] == ["cat", "dog"]
    assert project.store.answers.count() == 0
    assert project.store.queue.count() > 0
    shown = page("flowers")
    assert numbers(shown)["Still to label"] == "6"
    assert any("**6 images are ready.**" in text.value for text in shown.markdown)
    assert [link.proto.label for link in shown.main.get("page_link")] == ["Label now", "Predictions of every image"]
    assert not [button for button in shown.button if button.label == "Cancel the import"]


def test_the_folder_level_of_the_classes_can_be_chosen(studio: Studio, photos: Path) -> None:
    tiny_project().close()
    (photos / "pets").mkdir()
    (photos / "cat").rename(photos / "pets" / "cat")
    (photos / "dog").rename(photos / "wolf")
    shown = page()
    shown.text_input(key="import-tiny-source").set_value(str(photos))
    shown.selectbox(key="import-tiny-labels").set_value("answers")
    shown.number_input(key="import-tiny-level").set_value(2)
    next(button for button in shown.button if button.label == "Import").click()
    shown.run()

    report = ended(studio, "tiny").report

    assert report is not None
    assert (report.read, report.labels) == (6, 3)
    assert "cat" in [record.name for record in studio.project("tiny").store.classes.all()]


def test_images_are_counted_by_what_became_of_them(studio: Studio) -> None:
    tiny_project(12, test=0).close()
    project = studio.project("tiny")
    label_next(project, 4)
    skipped = project.store.queue.items()[0].image_id
    project.store.answers.record([Answer("skipped-1", AnswerKind.SKIP, skipped, reason="unclear")])

    shown = page()

    assert {title: numbers(shown)[title] for title in ("Images", "Labelled", "Skipped", "Still to label")} == {
        "Images": "12", "Labelled": "4", "Skipped": "1", "Still to label": "7",
    }  # fmt: skip
    by_class = project.store.answers.counts_by_class()
    words = " · ".join(f"{name} {by_class.get(place + 1, 0)}" for place, name in enumerate(("red", "green", "blue")))
    assert f"Labels per class: {words}." in [caption.value for caption in shown.caption]


def test_classes_are_added_and_a_bad_name_is_explained(studio: Studio) -> None:
    tiny_project().close()
    shown = page()
    shown.text_area[0].set_value("owl\nowl\n" + "x" * 300)
    next(b for b in shown.button if b.label == "Add classes").click()
    shown.run()
    assert len(studio.project("tiny").store.classes.all()) == 3
    shown.text_area[0].set_value("owl\ncrow")
    next(b for b in shown.button if b.label == "Add classes").click()
    shown.run()
    assert [c.name for c in studio.project("tiny").store.classes.all()] == ["red", "green", "blue", "owl", "crow"]


def test_settings_are_kept_for_the_next_round(studio: Studio) -> None:
    tiny_project().close()
    shown = page()
    next(n for n in shown.number_input if n.label.startswith("Labels per")).set_value(50)
    next(s for s in shown.selectbox if s.label == "Choose images by").set_value("tidal-margin")
    next(s for s in shown.selectbox if s.label == "Classes with few labels").set_value("weights")
    next(n for n in shown.number_input if n.label == "Rounds with whole curves").set_value(2)
    next(b for b in shown.button if b.label == "Save").click()
    shown.run()
    assert not shown.exception
    settings = studio.project("tiny").settings
    assert (settings.labels_per_round, settings.strategy) == (50, "tidal-margin")
    assert settings.class_balance == "weights"
    assert settings.curve_rounds == 2
    assert settings.training_size == 8


def test_a_trial_tells_what_is_fastest_here(studio: Studio) -> None:
    tiny_project().close()
    shown = page()
    before = len(shown.dataframe)

    next(b for b in shown.button if b.label == "Find the fastest setting").click()
    shown.run()
    assert any(b.label == "Stop the trial" for b in shown.button)
    trial = shown.session_state["speed-tiny-quick-8"]
    wait_for(lambda: not trial.running)
    shown.run()

    assert not shown.exception
    assert len(shown.dataframe) == before + 1
    table = shown.dataframe[-1].value
    assert len(table) == 4
    assert (table["Images per second"] > 0).all()
    assert table["Speed compared with now"][1] == "1.00"


def test_what_is_faster_is_taken_for_the_next_round(studio: Studio) -> None:
    tiny_project().close()
    shown = page()
    trial = Trial(brief(), 8, 3)
    trial.stop()  # what a graphics card would have answered
    names = [way_name(*way) for way in WAYS]
    trial._speeds = Speeds("cuda", dict(zip(names, (90.0, 100.0, 150.0, 210.0), strict=True)))
    shown.session_state["speed-tiny-quick-8"] = trial
    shown.run()

    next(b for b in shown.button if b.label.endswith("from the next round on, 2.1 times as fast")).click()
    shown.run()

    assert not shown.exception
    config = studio.project("tiny").settings.train_config()
    assert (config.precision, config.channels_last) == ("bfloat16", True)
    assert any("no setting is at least 1.1 times as fast as now" in caption.value for caption in shown.caption)


def test_another_training_size_is_reported_image_by_image_where_it_could_not_be_made(studio: Studio) -> None:
    tiny_project().close()  # its originals are nowhere
    shown = page()
    next(n for n in shown.number_input if n.label.startswith("Training size")).set_value(16)
    next(s for s in shown.selectbox if s.label == "Images that are not square").set_value("letterbox")
    next(b for b in shown.button if b.label == "Save").click()
    shown.run()
    assert not shown.exception
    ended(studio, "tiny")
    shown.run()
    images = studio.project("tiny").store.images.count()
    assert f"{images} images processed at the training size" in shown.warning[0].value
    assert not shown.success, "problems are not green"
    assert len(shown.dataframe[0].value) == images
    assert studio.project("tiny").settings.fit == "letterbox"


def test_the_model_of_a_kept_round_can_be_downloaded_in_each_format(studio: Studio) -> None:
    tiny_project().close()
    project = studio.project("tiny")
    assert any("No round has finished yet" in info.value for info in page().info)
    finish_round(project)
    assert any("weights of the finished rounds are gone" in info.value for info in page().info)

    (project.checkpoints / "round-0001.safetensors").write_bytes(b"weights")
    project.store.rounds.set_checkpoint(1, "round-0001.safetensors")
    shown = page()

    assert shown.selectbox(key="model-round-tiny").options == ["Round 1: 6 labels"]
    names = [button.proto.label for button in shown.get("download_button")]
    assert names[-3:] == ["Download as ONNX", "Download as PyTorch", "Download as safetensors"]


def test_a_folder_is_found_by_going_into_it_from_home(
    studio: Studio, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    tiny_project().close()
    shown = page()
    assert "cat" not in shown.selectbox(key="import-tiny-source-inside").options

    shown.selectbox(key="import-tiny-source-inside").select("photos").run()
    shown.selectbox(key="import-tiny-source-inside").select("cat").run()
    assert "Images here: 4. Folders here: 0." in [caption.value for caption in shown.caption]
    shown.button(key="import-tiny-source-up").click().run()
    shown.button(key="import-tiny-source-use").click().run()

    assert not shown.exception
    assert shown.text_input(key="import-tiny-source").value == str(photos)
    assert shown.text_input(key="new-source").value == ""


def test_a_path_as_it_is_dragged_or_typed_after_a_tilde_is_imported(
    studio: Studio, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(photos.parent))
    tiny_project().close()
    for typed in (" '~/photos' ", photos.as_uri()):
        shown = page()
        shown.text_input(key="import-tiny-source").set_value(typed)
        next(b for b in shown.button if b.label == "Import").click()
        shown.run()
        job = ended(studio, "tiny")
        assert job.error is None
        assert job.report is not None
        assert job.report.read + job.report.known == 6


def test_a_folder_that_is_not_there_is_named(studio: Studio) -> None:
    tiny_project().close()
    shown = page()
    shown.text_input(key="import-tiny-source").set_value("/no/such/folder")
    next(b for b in shown.button if b.label == "Import").click()
    shown.run()
    job = ended(studio, "tiny")
    assert job.error is not None
    assert "/no/such/folder" in job.error


def test_a_new_project_of_files_that_cannot_be_read_says_so_where_it_is(studio: Studio) -> None:
    sent = io.BytesIO(b"PK, and nothing that follows")
    sent.name = "sent.zip"

    made = import_view._create("Sent", "", [sent], "none", "cat")

    assert "sent.zip" in (ended(studio, made.slug).error or "")


def test_of_very_many_problems_the_first_are_shown_and_the_rest_are_counted(studio: Studio) -> None:
    tiny_project().close()
    problems = tuple(ImportProblem(f"{number}.txt", "it is no image") for number in range(1_234))
    studio._jobs["tiny"] = ImportJob(studio.project("tiny"), report=ImportReport("/photos", problems=problems))

    shown = page()

    assert not shown.exception
    assert 1_000 in [len(table.value) for table in shown.dataframe]
    assert any("The first 1,000 of 1,234" in caption.value for caption in shown.caption)
