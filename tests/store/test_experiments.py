"""Runs' files merged into one database: again and again, half written, killed in the middle."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.experiments.test_report import BETTER, RANDOM, made_up
from tests.helpers.gates import WAIT_SECONDS
from tidal_core.errors import InputError, ProjectInUse
from tidal_core.experiments.files import Experiment
from tidal_core.experiments.results import DATABASE, merged, read_results
from tidal_core.store import experiments as store
from tidal_core.store.database import Database

CONFIGURATIONS = {"random": RANDOM, "margin": BETTER}


def count(experiment: Experiment) -> tuple[int, int]:
    """Runs and rounds in the file, as a program of one's own would ask."""
    with duckdb.connect(str(experiment.folder.parent / DATABASE), read_only=True) as connection:
        found = connection.execute("SELECT count(DISTINCT (configuration, run)), count(*) FROM results").fetchone()
    assert found is not None
    return found


def test_merging_again_changes_nothing(tmp_path: Path) -> None:
    experiment = made_up(tmp_path, CONFIGURATIONS)

    first = merged(experiment)
    assert merged(experiment) == first
    for file in (experiment.folder / "runs").iterdir():
        os.utime(file)  # looks changed, and is not
    assert merged(experiment) == first
    assert count(experiment) == (5, 15)


def test_what_a_file_holds_comes_back_as_it_was(tmp_path: Path) -> None:
    experiment = made_up(tmp_path, CONFIGURATIONS)

    kept = [
        [json.loads(line) for line in file.read_text().splitlines()]
        for file in sorted((experiment.folder / "runs").iterdir())
    ]

    assert [[header, *rounds] for header, rounds in merged(experiment)] == kept


def test_a_round_that_was_added_is_taken_in_and_one_cut_off_waits(tmp_path: Path) -> None:
    experiment = made_up(tmp_path, {"random": RANDOM[:1]})
    merged(experiment)
    file = next((experiment.folder / "runs").iterdir())
    line = file.read_text().splitlines()[-1].replace('"round": 3, "labels": 14', '"round": 4, "labels": 18') + "\n"

    with file.open("a") as out:
        out.write(line[:40])
    assert [len(run.rounds) for run in merged(experiment)] == [3]
    with file.open("a") as out:
        out.write(line[40:])

    assert [one["round"] for one in merged(experiment)[0].rounds] == [1, 2, 3, 4]
    assert read_results(experiment).labels.tolist() == [6, 10, 14, 18]


@pytest.mark.parametrize("text", ["", '{"configuration": "ran'])
def test_a_run_killed_before_its_first_line_is_no_run_yet(tmp_path: Path, text: str) -> None:
    experiment = made_up(tmp_path, {"random": RANDOM})
    (experiment.folder / "runs" / "random--ir1--run9.jsonl").write_text(text)

    assert len(merged(experiment)) == 3


def test_a_file_that_is_gone_takes_its_rounds_along(tmp_path: Path) -> None:
    experiment = made_up(tmp_path, CONFIGURATIONS)
    merged(experiment)
    next((experiment.folder / "runs").glob("margin*")).unlink()

    assert len(merged(experiment)) == 4
    assert count(experiment) == (4, 12)


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    experiment = made_up(tmp_path, {"random": RANDOM[:1]})
    file = next((experiment.folder / "runs").iterdir())
    file.write_text(file.read_text().replace('{"round": 2', '{"round" 2'))

    with pytest.raises(InputError, match=r"run0.jsonl is damaged in line 3"):
        merged(experiment)


def test_the_database_can_be_deleted_and_is_made_anew(tmp_path: Path) -> None:
    experiment = made_up(tmp_path, CONFIGURATIONS)
    before = merged(experiment)
    (experiment.folder.parent / DATABASE).unlink()

    assert merged(experiment) == before


def test_threads_that_look_at_once_take_turns(tmp_path: Path) -> None:
    experiment, found = made_up(tmp_path, CONFIGURATIONS), list[int]()
    threads = [threading.Thread(target=lambda: found.append(len(merged(experiment)))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [5] * 6
    assert count(experiment) == (5, 15)


CHILD = """
import os, sys
from pathlib import Path
from tidal_core.experiments.files import Experiment
from tidal_core.experiments.results import merged
experiment = Experiment(Path(sys.argv[1]))
while True:
    print("merging", flush=True)
    for file in (experiment.folder / "runs").iterdir():
        os.utime(file)
    merged(experiment)
"""


def test_merges_that_were_killed_leave_nothing_half_done(tmp_path: Path) -> None:
    experiment = made_up(tmp_path, {"random": RANDOM * 5, "margin": BETTER * 5})
    for times in (1, 2, 5):  # killed at the beginning of this merge, or a little later
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(experiment.folder)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            for _ in range(times):
                assert child.stdout.readline() == "merging\n"
            child.kill()

    assert [len(run.rounds) for run in merged(experiment)] == [3] * 25
    assert count(experiment) == (25, 75)


def test_another_process_is_waited_for_and_named_when_it_does_not_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = made_up(tmp_path, {"random": RANDOM})
    merged(experiment)
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('mine', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(experiment.folder.parent / DATABASE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "mine\n"
        monkeypatch.setattr(store, "WAIT_SECONDS", 0.2)
        with pytest.raises(ProjectInUse, match=f"number {other.pid}"):
            merged(experiment)
        monkeypatch.setattr(store, "WAIT_SECONDS", WAIT_SECONDS)
        let_go, open_database = other.stdin.close, store.Database

        def lets_go_when_asked(*given: Any) -> Database:
            try:
                return open_database(*given)
            except ProjectInUse:
                let_go()
                raise

        monkeypatch.setattr(store, "Database", lets_go_when_asked)
        assert len(merged(experiment)) == 3
        assert other.stdin.closed, "it was never refused"


def test_an_experiment_of_an_earlier_version_is_read_and_goes_on(tmp_path: Path) -> None:
    experiment = made_up(tmp_path, CONFIGURATIONS)
    expected = [(run.header, run.rounds) for run in merged(experiment)]
    database = experiment.folder.parent / DATABASE
    database.unlink()
    # As the version before this one wrote them: a configuration was an "arm".
    for file in (experiment.folder / "runs").iterdir():
        file.write_text(file.read_text(encoding="utf-8").replace('"configuration":', '"arm":', 1), encoding="utf-8")
    spec = experiment.folder / "spec.json"
    spec.write_text(spec.read_text(encoding="utf-8").replace('"configurations":', '"arms":'), encoding="utf-8")
    old = Database(database, store.MIGRATIONS[:1])
    with old.write() as cursor:
        cursor.execute(
            "INSERT INTO files VALUES (?, 'gone.jsonl', 1, 1, 'made', 'margin', 1.0, 0, ?)",
            ["another", json.dumps({"arm": "margin", "run": 0})],
        )
    old.close()

    assert experiment.spec.configurations == tuple(CONFIGURATIONS)
    assert [(run.header, run.rounds) for run in merged(experiment)] == expected
    with duckdb.connect(str(database), read_only=True) as connection:
        kept = connection.execute("SELECT configuration, header FROM files WHERE experiment = 'another'").fetchone()
    assert kept == ("margin", '{"configuration": "margin", "run": 0}')
