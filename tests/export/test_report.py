"""The report: one file that loads nothing from elsewhere and in which no name is more than a text."""

import dataclasses
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from benchmarks.made_up import Size, make
from tidal_core.errors import InputError
from tidal_core.export.report import report, write_report
from tidal_core.projects import Project, open_project

HOSTILE = (
    '<script src="https://elsewhere.example/x.js"></script>',
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 191 }}",
    "</style><link rel=stylesheet href=//elsewhere.example>",
)


class Seen(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parsed(project: Project) -> Seen:
    seen = Seen()
    seen.feed(report(project))
    return seen


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Size:
    return Size(labelled=30, pool=20, test=40, rounds=2, epochs=4, classes=len(HOSTILE))


@pytest.fixture
def project(hostile: Size) -> Project:
    made = make("hostile", hostile, class_names=HOSTILE)
    left = made.store.images.unlabelled_ids()[:5]
    made.store.model_answers.take(
        left,
        np.full(5, made.store.classes.all()[0].id),
        np.full(5, 0.9),
        round_id=2,
        note="<b>95 %</b>",
        annotator="<i>",
    )
    return made


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs(project: Project) -> None:
    seen = parsed(project)
    project.close()

    allowed = {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "b", "bdi", "span", "table", "tr",
        "th", "td", "ul", "li", "img", "figure", "figcaption", "svg", "line", "text", "polygon", "polyline",
    }  # fmt: skip
    assert {tag for tag, _ in seen.tags} <= allowed
    names = {name for _, attributes in seen.tags for name in attributes}
    assert not {name for name in names if name.startswith("on") or name in {"href", "srcset", "xlink:href"}}
    sources = [attributes["src"] or "" for _, attributes in seen.tags if "src" in attributes]
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    policy = [a["content"] for tag, a in seen.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_hostile_names_are_shown_as_they_are(project: Project) -> None:
    seen = parsed(project)
    names = [record.name for record in project.store.classes.all()]
    project.close()

    for name in (*names, "<i>"):
        assert name in seen.text
    assert not any("1337" in text for text in seen.text)


def test_neither_the_title_nor_names_of_files_get_markup_in(project: Project) -> None:
    markup = "<svg onload=alert(2)>"
    with project.store.database.write() as cursor:
        cursor.execute("UPDATE images SET name = ? || id || '.png', uri = 'file:///' || ? || id", [markup, markup])
    project.store.settings.save(dataclasses.replace(project.settings, title=markup))
    page = report(project)
    title = parsed(project).text
    project.close()

    assert markup in title
    assert markup not in page


def test_it_tells_labels_of_people_from_the_models_classes(project: Project) -> None:
    text = " ".join(" ".join(parsed(project).text).split())
    labelled = project.store.answers.tally().labelled
    project.close()

    assert f"{labelled} labelled by people" in text
    assert "5 with the model's class" in text
    assert "with 95 % certainty between" in text
    assert "taken for" in text
    assert "Software" in text or "Trains" in text
    assert "40 test images" in text


def test_the_accuracy_of_a_single_round_can_be_seen(tmp_path: Path) -> None:
    once = make("once", Size(labelled=30, pool=20, test=40, rounds=1, epochs=4, classes=2))

    lines = [dict(attrs)["points"] or "" for tag, attrs in parsed(once).tags if tag in {"polyline", "polygon"}]

    assert lines
    for line in lines:
        across = [float(place.split(",")[0]) for place in line.split()]
        assert max(across) > min(across), "a line of one point is not drawn"


def test_an_empty_project_has_a_report_too(tmp_path: Path) -> None:
    made = make("empty", Size(labelled=0, pool=5, test=0, rounds=0, epochs=1))
    text = " ".join(parsed(made).text)
    target = write_report(made, tmp_path / "r.html")
    made.close()

    assert "Nobody has labelled an image yet." in text
    assert "No round has finished yet." in text
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_file_that_is_there_is_kept_and_another_ending_refused(project: Project, tmp_path: Path) -> None:
    (tmp_path / "r.html").write_text("mine")
    with pytest.raises(InputError, match="--overwrite"):
        write_report(project, tmp_path / "r.html")
    with pytest.raises(InputError, match=r"\.html"):
        write_report(project, tmp_path / "r.pdf")
    write_report(project, tmp_path / "r.html", overwrite=True)
    project.close()
    open_project("hostile").close()

    assert (tmp_path / "r.html").read_text(encoding="utf-8") != "mine"
