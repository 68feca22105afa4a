"""Own photos from import to export: the shared flowers where they are there, else photos that the test makes."""

import csv
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
from playwright.sync_api import Page, expect

from tests.browser.driver import Labelling
from tests.browser.server import ROOT, Server
from tests.images.photos import FLOWERS, save
from tidal_core.projects import open_project
from tidal_core.rounds import audit

pytestmark = pytest.mark.browser


def tidal(*words: str) -> str:
    """The command line, as a person types it."""
    done = subprocess.run(
        [sys.executable, "-m", "tidal_core", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


OF_EACH = 16  # photos of a class: enough to learn, and their features take seconds on one core


def photos(folder: Path) -> Path:
    """80 of the flowers, five classes, else as many photos in three classes."""
    if FLOWERS.exists():
        for kind in sorted(path for path in FLOWERS.iterdir() if path.is_dir()):
            (folder / kind.name).mkdir(parents=True)
            for photo in sorted(kind.glob("*.jpg"))[:OF_EACH]:
                shutil.copy(photo, folder / kind.name)
        return folder
    for i in range(60):
        save(folder / f"kind {i % 3}" / f"{i}.jpg", seed=i, size=(320, 240))
    return folder


def test_photos_from_the_folder_to_a_trained_model_and_its_predictions(
    page: Page, tidal_home: Path, tmp_path: Path
) -> None:
    source = photos(tmp_path / "photos")
    said = tidal("import", str(source), "--name", "flowers", "--labels", "from-folders")
    assert "The pretrained model learns these images" in said
    project = open_project("flowers")
    n_images = project.store.images.count()
    known = {image.id: image.known_class for image in project.store.images.all()}
    keys = {record.id: record.key for record in project.store.classes.all()}
    names = {record.id: record.name for record in project.store.classes.all()}
    assert project.settings.preset == "frozen"
    reserved = set(audit.reserved(project).tolist())  # nobody sees what the model says of these
    project.close()
    assert n_images == sum(1 for _ in source.rglob("*.jpg"))

    expected: dict[int, str] = {}
    with Server(tidal_home) as server:
        labelling = Labelling(page, server.url, "flowers").open()

        def label(n: int) -> None:
            for _ in range(n):
                image = labelling.wait_painted()
                class_id = known[image]
                assert class_id is not None
                expected[image] = names[class_id]
                labelling.press(keys[class_id])
            labelling.wait_saved()

        # Fifteen keys; a round starts after ten labels that train (one in ten measures only).
        label(15)
        labelling.wait_ranking(1)
        page.keyboard.press("w")
        label(2)  # the first was on the screen before the ranking came
        # What the model would have said, and why the image was chosen.
        expect(labelling.root.locator(".last")).to_contain_text(re.compile("the model (agrees|said)"))
        expect(labelling.root.locator(".why")).to_contain_text("Why this image?")
        # As fast as features come.
        why_chosen = re.compile("Exact dynamics herding|audit|One of the first|Drawn at random")
        expect(labelling.root.locator(".why")).to_contain_text(why_chosen)
        why = labelling.root.locator(".why")
        for_no_others = re.compile("audit sample|Every image without a label|Drawn at random|One of the first")
        stands_for_none = why.get_by_text(for_no_others)
        expect(why.locator(".stands-for canvas").or_(stands_for_none).first).to_be_visible()

        unlabelled = next(image for image in known if image not in expected and image not in reserved)
        page.goto(f"{server.url}/dynamics?project=flowers&image={unlabelled}&view=life")
        expect(page.get_by_text("Probabilities during training").first).to_be_visible()
        expect(page.locator(".js-plotly-plot").first).to_be_visible()
        expect(page.get_by_text("(prediction)").first).to_be_visible()

    target = tmp_path / "labels.csv"
    tidal("export", "flowers", "--to", str(target))
    with target.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    project = open_project("flowers")
    by_uri = {image.uri: image.id for image in project.store.images.all()}
    pool = project.store.scores.table(1)
    scored = dict(zip(pool["image_id"].tolist(), pool["predicted"].tolist(), strict=True))
    project.close()
    assert {by_uri[row["path"]]: row["label"] for row in rows} == expected
    assert {row["annotator"] for row in rows} == {"me"}

    predicted = tmp_path / "predicted.parquet"
    tidal("predict", "flowers", str(source), "--round", "1", "--out", str(predicted))
    table = parquet.read_table(predicted).to_pylist()
    assert len(table) == n_images
    says = {by_uri[row["path"]]: row["class"] for row in table}
    assert {image: names[class_id] for image, class_id in scored.items()}.items() <= says.items()
