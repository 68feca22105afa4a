"""``paper-figures``: which experiments come into which figure, and what stands where nothing was measured."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tidal_core import cli
from tidal_core.errors import InputError
from tidal_core.experiments.files import Spec, begin
from tidal_core.experiments.paper_figures import FIGURES
from tidal_core.experiments.protocol import PRESETS, Configuration

PAPER, ON_CPU = PRESETS["paper"], PRESETS["paper-cpu"]
PANELS = sum(len(figure.panels) for figure in FIGURES)


def experiment(home: Path, name: str, spec: Spec) -> None:
    """Of the accuracies of made-up runs: 0.5, and 0.1 more for each configuration after the first."""
    made = begin(home, name, spec)
    (made.folder / "runs").mkdir()
    for ratio in spec.imbalances:
        for place, configuration in enumerate(spec.configurations):
            for run in range(spec.runs):
                header = {"configuration": configuration, "imbalance": ratio, "run": run, "code": "x"}
                rounds = [
                    {
                        "round": number + 1,
                        "labels": spec.protocol.first + number * spec.protocol.per_round,
                        "trained_on": 1,
                        "accuracy": 0.5 + place / 10,
                        "balanced_accuracy": 0.5,
                        "seconds": {},
                        "peak_gb": 1.0,
                        "asked": [],
                    }
                    for number in range(3)
                ]
                lines = "".join(json.dumps(line) + "\n" for line in (header, *rounds))
                (made.folder / "runs" / f"{configuration}-{ratio:g}-{run}.jsonl").write_text(lines, encoding="utf-8")


def published_file(folder: Path) -> Path:
    file = folder / "published" / "tidal_relative_improvement.csv"
    file.parent.mkdir()
    file.write_text(
        "dataset,imbalance_ratio,strategy,n_labeled,relative_improvement_pct,ci95\n"
        + "".join(f"CIFAR10,1,tidal-entropy,{labels},{labels / 1000},0.5\n" for labels in (1000, 2000))
        + "iNaturalist2018,500,tidal-margin,20000,3,1\n",
        encoding="utf-8",
    )
    return folder


def values(page: Path) -> list[dict[str, str]]:
    with page.with_suffix(".csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_experiments_by_the_protocol_come_over_the_published_curves(
    tidal_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment(tidal_home, "ours", Spec("cifar10", PAPER, ("random", "tidal-entropy", "vaal"), runs=2))
    experiment(tidal_home, "a-part", Spec("cifar10:3000,1000", PAPER, ("random", "entropy")))
    page = tmp_path / "figures.html"

    cli.app(["paper-figures", "--out", str(page), "--data", str(published_file(tmp_path))], standalone_mode=False)

    assert f"3 of {PANELS} panels" in " ".join(capsys.readouterr().out.split())
    rows = values(page)
    assert {row["figure"] for row in rows if row["source"] == "Experiment ours"} == {"10", "12", "13"}
    relative = [row for row in rows if row["figure"] == "12" and row["configuration"] == "tidal-entropy"]
    ours = [float(row["value"]) for row in relative if row["source"] != "published"]
    assert ours == pytest.approx([20, 20, 20])
    assert [float(row["value"]) for row in relative if row["source"] == "published"] == [1, 2]
    text = page.read_text(encoding="utf-8")
    assert "Experiment ours; runs for each curve: 2." in text
    assert text.count("experiment cifar10 --preset paper --name cifar10-paper ") == 0, "measured already"
    assert "experiment cifar10 --preset paper --imbalance 100 --name cifar10-paper-100 " in text
    assert text.count("To measure it:") == PANELS - 3


def test_an_experiment_of_another_size_is_shown_beside_the_published_curves_where_it_is_named(
    tidal_home: Path, tmp_path: Path
) -> None:
    experiment(tidal_home, "small", Spec("cifar10@16", ON_CPU, ("random", "tidal-entropy"), (1.0, 100.0)))
    data, page = published_file(tmp_path), tmp_path / "figures.html"
    given = ["paper-figures", "--out", str(page), "--data", str(data)]

    cli.app(given, standalone_mode=False)
    assert {row["source"] for row in values(page)} == {"published"}
    cli.app([*given, "--experiment", "small", "--overwrite"], standalone_mode=False)

    source = "Experiment small, cifar10@16 with resnet18-thin"
    rows = values(page)
    assert {row["figure"] for row in rows if row["source"] == source} == {"9", "10", "11", "12", "13"}
    text = page.read_text(encoding="utf-8")
    assert text.count(f"{source}; runs for each curve: 5.") == 7  # 9 and 11 at 100, 10 at 1, 12 and 13 at both
    assert "experiment cifar10 --preset paper --name cifar10-paper " in text, (
        "the paper's own size is still to be measured"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--out", "page.png"], "'page.png' does not end like a page"),
        (["--out", "there.html"], "there.html already exists; choose another name .*--overwrite"),
        (["--out", "a.html", "--published", "nowhere.csv"], "no file nowhere.csv; leave --published out"),
        (["--out", "a.html", "--experiment", "none"], "no experiment 'none'"),
        (["--out", "a.html", "--experiment", "digits"], "'digits' is of digits, which no figure of the paper shows"),
        (["--out", "a.html", "--published", "other.csv"], "other.csv is not a table of published values.*dataset"),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_nothing_is_written(
    tidal_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.html").write_text("mine", encoding="utf-8")
    Path("other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    experiment(tidal_home, "digits", Spec("digits", PRESETS["quick"], ("random",)))

    with pytest.raises(InputError, match=message):
        cli.app(["paper-figures", *given], standalone_mode=False)

    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix in {".html", ".csv"}) == [
        "other.csv",
        "there.html",
    ]
    assert Path("there.html").read_text(encoding="utf-8") == "mine"


def test_the_figures_name_configurations_that_there_are_and_the_papers_panels() -> None:
    for figure in FIGURES:
        assert [Configuration.parse(name).name for name in figure.configurations] == list(figure.configurations)
    assert {figure.number: len(figure.panels) for figure in FIGURES} == {9: 3, 10: 5, 11: 6, 12: 9, 13: 9}
    assert np.all([figure.configurations[0] == "random" for figure in FIGURES])
