"""From the files of runs to tables, and the command that does it all."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from filelock import lock_descriptor

from tests.experiments.made import TINY
from tidal_core import cli, ownership
from tidal_core.experiments.files import Experiment, Spec, begin, rounds_done
from tidal_core.experiments.protocol import PRESETS
from tidal_core.experiments.report import markdown, points, summary, write
from tidal_core.experiments.results import merged, read_results


def made_up(home: Path, accuracies: dict[str, list[list[float]]], imbalance: float = 1.0) -> Experiment:
    """An experiment whose runs came to these accuracies: by configuration, by run, by round."""
    spec = Spec("made", TINY, tuple(accuracies), (imbalance,), max(map(len, accuracies.values())))
    experiment = begin(home, "made-up", spec)
    (experiment.folder / "runs").mkdir(exist_ok=True)
    for configuration, runs in accuracies.items():
        for number, rounds in enumerate(runs):
            header = {
                "configuration": configuration,
                "imbalance": imbalance,
                "run": number,
                "device": "cpu",
                "hardware": "made up",
            }
            header |= {"cores": 2, "versions": {"torch": "2"}}
            lines = [
                {
                    "round": place + 1,
                    "labels": 6 + 4 * place,
                    "trained_on": 6 + 4 * place,
                    "accuracy": value,
                    "balanced_accuracy": value - 0.1,
                    "asked": [1, 2],
                    "seconds": {"train": 2.0 + number},
                    "peak_gb": 1.0,
                }
                for place, value in enumerate(rounds)
            ]
            text = "".join(json.dumps(line) + "\n" for line in (header, *lines))
            (experiment.folder / "runs" / f"{configuration}--ir{imbalance:g}--run{number}.jsonl").write_text(text)
    return experiment


RANDOM = [[0.2, 0.4, 0.6], [0.2, 0.5, 0.6], [0.2, 0.45, 0.6]]
BETTER = [[0.2, 0.61, 0.8], [0.2, 0.7, 0.81]]


def test_runs_keep_their_number_and_what_is_missing_is_nan(tmp_path: Path) -> None:
    experiment = made_up(tmp_path, {"random": RANDOM, "margin": [[0.3], [0.4, 0.5, 0.6]]})

    results = read_results(experiment)

    np.testing.assert_array_equal(results.values("margin", 1.0), [[0.3, np.nan, np.nan], [0.4, 0.5, 0.6]])
    assert results.labels.tolist() == [6, 10, 14]
    assert (results.finished("margin", 1.0), results.finished("random", 1.0)) == (1, 3)
    assert results.seconds("random", 1.0, "train") == 3.0


def test_a_summary_says_how_much_better_than_random_and_by_which_test(tmp_path: Path) -> None:
    random, better = summary(read_results(made_up(tmp_path, {"random": RANDOM, "margin": BETTER})), 1.0)

    assert "gain" not in random
    assert better["runs"] == 2
    assert better["final"][0] == pytest.approx(0.805)
    assert better["gain"][0] > 0.1
    assert better["comparisons"] == 3
    # at 10 labels the configuration has 0.655, more than random ever; at 6 both have 0.2
    np.testing.assert_allclose(better["ratio"], [1, np.nan, np.nan])


def test_tables_come_as_markdown_csv_and_parquet(tmp_path: Path) -> None:
    results = read_results(made_up(tmp_path, {"random": RANDOM, "margin": BETTER}))

    report, csv, parquet, rounds = write(results, tmp_path / "out")

    assert "| margin | 2 | 80.5 ± 6.4 |" in report.read_text()
    assert "imbalance ratios, up to 3) at which the row is better" in report.read_text()
    table = pacsv.read_csv(csv)
    assert table.num_rows == 6
    assert table.column_names == pq.read_table(parquet).column_names == list(points(results))
    assert pq.read_table(rounds).num_rows == 15


def test_the_points_hold_what_the_tests_and_the_label_efficiency_rest_on(tmp_path: Path) -> None:
    configuration = [[0.2, 0.5, 0.5], [0.2, 0.6, 0.7], [0.9, 0.9]]

    table = points(read_results(made_up(tmp_path, {"random": RANDOM, "margin": configuration})))

    own = [place for place, name in enumerate(table["configuration"]) if name == "margin"]
    assert [table["runs"][place] for place in own] == [3, 3, 2]
    assert [table["pairs"][place] for place in own] == [3, 3, 2]
    assert {table["comparisons"][place] for place in own} == {3}
    # Of the runs that both finished: 0.2, 0.55, 0.6 against random's 0.2, 0.45, 0.6; 0.55 lies two thirds on the way
    efficiency = [table["label_efficiency"][place] for place in own]
    np.testing.assert_allclose(efficiency, [1, (10 + 4 * 2 / 3) / 10, 1])


def test_a_report_names_every_machine_that_played(tmp_path: Path) -> None:
    experiment = made_up(tmp_path, {"random": RANDOM})
    assert "Machine: made up, 2 cores, on cpu; torch 2." in markdown(read_results(experiment))

    file = experiment.folder / "runs" / "random--ir1--run2.jsonl"
    header, *lines = map(json.loads, file.read_text().splitlines())
    lines[1]["machine"] = {"device": "cuda", "hardware": "H", "cores": 8, "versions": {"torch": "3"}}
    file.write_text("".join(json.dumps(line) + "\n" for line in (header, *lines)))

    said = markdown(read_results(experiment))
    assert "Run on more than one machine: made up, 2 cores, on cpu; torch 2. H, 8 cores, on cuda; torch 3." in said


def test_a_single_run_has_no_wins(tmp_path: Path) -> None:
    assert "Wins" not in markdown(read_results(made_up(tmp_path, {"random": RANDOM[:1], "margin": BETTER[:1]})))


def test_an_experiment_without_runs_has_an_empty_report(tmp_path: Path) -> None:
    experiment = begin(tmp_path, "empty", Spec("made", TINY, ("random",)))

    assert "No runs yet." in markdown(read_results(experiment))
    assert len(write(read_results(experiment), tmp_path / "out")) == 4


def test_the_comparison_with_random_is_left_out_where_it_was_not_played(tmp_path: Path) -> None:
    text = markdown(read_results(made_up(tmp_path, {"margin": BETTER}, imbalance=10.0)))

    assert "Imbalance ratio 10" in text
    assert "nan" not in text


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["tidal_core", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_the_command_plays_reports_goes_on_and_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDAL_HOME", str(tmp_path))
    command = ("experiment", "digits", "--preset", "quick", "--strategies", "random,margin", "--rounds", 2, "--runs", 1)

    assert run(monkeypatch, *command) == 0
    assert "2 runs finished." in capsys.readouterr().out
    assert run(monkeypatch, *command) == 0
    assert "0 runs finished." in capsys.readouterr().out
    assert run(monkeypatch, *command, "--check") == 0
    assert "identical, bit for bit" in capsys.readouterr().out
    assert run(monkeypatch, "experiment", "digits", "--name", "digits-quick", "--report-only") == 0
    assert "| margin | 1 |" in (tmp_path / "experiments/digits-quick/report.md").read_text()


def tree(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_check_creates_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDAL_HOME", str(tmp_path))
    command = ("experiment", "digits", "--preset", "quick", "--rounds", 1, "--runs", 1)
    assert run(monkeypatch, *command, "--check") == 1
    assert not (tmp_path / "experiments").exists()

    assert run(monkeypatch, *command, "--strategies", "random") == 0
    before = tree(tmp_path / "experiments")
    assert run(monkeypatch, *command, "--strategies", "random,margin", "--check") == 0
    assert tree(tmp_path / "experiments") == before


def test_nothing_is_added_to_an_experiment_that_is_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDAL_HOME", str(tmp_path))
    spec = Spec("digits", PRESETS["quick"], ("random",), runs=1)
    experiment = begin(tmp_path, "digits-quick", spec)
    lock = os.open(experiment.folder / ownership.LOCK, os.O_RDWR | os.O_CREAT)
    assert lock_descriptor(lock, blocking=False)
    ownership.announce(experiment.folder, ownership.Owner.of(1))  # of another process
    try:
        assert run(monkeypatch, "experiment", "digits", "--preset", "quick", "--strategies", "margin") == 1
    finally:
        os.close(lock)
    assert experiment.spec == spec


def test_what_cannot_be_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDAL_HOME", str(tmp_path))
    for options, message in (
        (("--rounds", 1000), "but the pool has only"),
        (("--strategies", "random,guess"), "no strategy 'guess'"),
        (("--imbalance", "1,0.5"), "choose at least 1"),
        (("--backbone", "resnet5000"), "no backbone 'resnet5000'"),
        (("--augment", "upside-down"), "no augmentation 'upside-down'"),
    ):
        assert run(monkeypatch, "experiment", "digits", "--preset", "quick", *options) == 1
        assert message in " ".join(capsys.readouterr().err.split())
        assert not (tmp_path / "experiments" / "digits-quick").exists(), options


def test_an_experiment_is_described_in_a_file_that_is_kept_beside_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDAL_HOME", str(tmp_path))
    file = tmp_path / "mine.toml"
    file.write_text(
        'dataset = "digits"\nname = "mine"\npreset = "quick"\nstrategies = ["random"]\nruns = 3\nrounds = 1\n'
        'augment = "crop"\n'
    )
    assert run(monkeypatch, "experiment", "--config", file, "--runs", 1) == 0
    experiment = Experiment(tmp_path / "experiments" / "mine")
    assert (experiment.folder / "config.toml").read_text() == file.read_text()
    assert (experiment.spec.runs, experiment.spec.protocol.rounds) == (1, 1)
    assert experiment.spec.protocol.train.augmentation == "crop"

    for text, message in (("runs = = 3", "is not TOML"), ("rums = 3", "no setting 'rums'"), ('runs = "3"', "runs")):
        file.write_text(text)
        assert run(monkeypatch, "experiment", "digits", "--config", file) == 1
        assert message in " ".join(capsys.readouterr().err.split())


def test_configurations_runs_and_experiments_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDAL_HOME", str(tmp_path))
    experiment = made_up(tmp_path, {"random": RANDOM, "margin": BETTER, "entropy": RANDOM})
    read_results(experiment)

    assert run(monkeypatch, "experiment-remove", "made-up", "--without", "entropy", "--runs", 2) == 0
    results = read_results(experiment)
    assert results.configurations == ("random", "margin")
    assert {len(runs) for runs in results.rounds.values()} == {2}
    assert rounds_done(experiment) == (12, 12)

    assert run(monkeypatch, "experiment-remove", "made-up", "--without", "random,margin") == 1
    assert run(monkeypatch, "experiment-remove", "made-up", "--without", "guess") == 1
    assert "has no configuration 'guess'" in " ".join(capsys.readouterr().err.split())
    assert run(monkeypatch, "experiment-remove", "made-up") == 0
    assert not experiment.folder.exists()
    assert merged(experiment) == []
    assert run(monkeypatch, "experiment-remove", "made-up") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--preset", "slow"), "no preset 'slow'"),
        (("--tail", "long"), "no imbalance shape 'long'"),
        (("--imbalance", "1;10"), "cannot be read as imbalance ratios"),
        (("--strategies", "guess"), "no strategy 'guess'"),
        (("--name", "nothing", "--report-only"), "no experiment 'nothing'"),
    ],
)
def test_the_command_says_what_it_cannot_use(
    options: tuple, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDAL_HOME", str(tmp_path))

    assert run(monkeypatch, "experiment", "digits", *options) == 1
    assert message in " ".join(capsys.readouterr().err.split())


def test_labels_saved_are_in_the_report_only_beyond_chance(tmp_path: Path) -> None:
    one_run = made_up(tmp_path / "a", {"random": RANDOM[:1], "margin": BETTER[:1]})
    many = made_up(tmp_path / "b", {"random": RANDOM, "margin": [[0.2, 0.61, 0.8], [0.2, 0.71, 0.8], [0.2, 0.66, 0.8]]})
    cells = [
        next(line for line in markdown(read_results(each)).splitlines() if line.startswith("| margin"))
        for each in (one_run, many)
    ]
    assert "points)" not in cells[0]
    assert "points)" in cells[1]
