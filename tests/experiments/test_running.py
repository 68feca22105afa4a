"""Many runs in one folder."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.experiments.made import TINY, make_dataset
from tests.helpers.gates import WAIT_SECONDS, held_at_start
from tidal_core.errors import InputError
from tidal_core.experiments.files import Experiment, Spec, begin, experiments, rounds_done
from tidal_core.experiments.owner import start, stop
from tidal_core.experiments.running import execute_all, finished_rounds, runs_of
from tidal_core.experiments.runs import TIMES
from tidal_core.ownership import owner_of, owning

SPEC = Spec("made", TINY, ("random", "margin"), (1.0,), 2)


def test_all_runs_are_executed_and_nothing_twice(tmp_path: Path) -> None:
    experiment, dataset, said = begin(tmp_path, "first", SPEC), make_dataset(tmp_path), list[str]()

    assert execute_all(experiment, dataset, say=said.append) == 4
    assert rounds_done(experiment) == (12, 12)
    assert execute_all(experiment, dataset, say=said.append) == 0
    assert len(said) == 12
    assert said[0].startswith("random, run 1, round 1 of 3: ")
    assert "margin, run 1, " in said[3], "all configurations of a run before the next run"


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_cannot_be_executed_holds_up_no_other(tmp_path: Path, jobs: int) -> None:
    protocol = TINY.changed(first=20, rounds=2)
    spec = Spec("made", protocol, ("random", "margin"), (100.0, 1.0), 1)
    experiment = begin(tmp_path, "first", spec)

    with pytest.raises(InputError, match=r"2 of 4 runs failed. The first: random, imbalance 100, run 1: .*pool has"):
        execute_all(experiment, make_dataset(tmp_path), jobs=jobs)

    assert rounds_done(experiment) == (4, 8)


def test_a_configuration_that_is_not_there_any_more_holds_up_no_other(tmp_path: Path) -> None:
    experiment = begin(tmp_path, "first", replace(SPEC, runs=1))
    file = experiment.folder / "spec.json"
    file.write_text(file.read_text().replace('"margin"', '"gone"'))

    with pytest.raises(InputError, match=r"1 runs finished\. The configuration 'gone' cannot be played: "):
        execute_all(experiment, make_dataset(tmp_path), say=lambda _: None)

    assert rounds_done(experiment) == (3, 6)


def test_what_is_added_while_it_works_is_executed_too(tmp_path: Path) -> None:
    experiment = begin(tmp_path, "first", replace(SPEC, runs=1))

    def add(said: str) -> None:
        begin(tmp_path, "first", replace(SPEC, configurations=("entropy",), runs=1))

    assert execute_all(experiment, make_dataset(tmp_path), say=add) == 3
    assert rounds_done(experiment) == (9, 9)


def test_runs_in_processes_beside_each_other_come_out_the_same(tmp_path: Path) -> None:
    spec = replace(SPEC, runs=1)
    alone, beside = begin(tmp_path, "alone", spec), begin(tmp_path, "beside", spec)
    dataset = make_dataset(tmp_path)

    execute_all(alone, dataset, say=lambda _: None)
    execute_all(beside, dataset, jobs=2)

    for one, other in zip(runs_of(alone, dataset), runs_of(beside, dataset), strict=True):
        assert finished_rounds(other) == 3
        for a, b in zip(*(map(json.loads, run.file.read_text().splitlines()) for run in (one, other)), strict=True):
            for key in a.keys() - set(TIMES):
                assert a[key] == b[key], key


def test_when_it_is_killed_the_processes_that_work_for_it_stop_and_the_next_goes_on(tmp_path: Path) -> None:
    spec = Spec("made", TINY, ("random", "margin"), (1.0,), 1)
    alone, killed = begin(tmp_path, "alone", spec), begin(tmp_path, "killed", spec)
    dataset = make_dataset(tmp_path)
    execute_all(alone, dataset, say=lambda _: None)
    # Killed by the first player that has ended a round. Both stand still after theirs: nobody but its end ends them.
    code = (
        "import os, pathlib, psutil, signal, sys, threading\n"
        "from tests.experiments.made import make_dataset\n"
        "from tidal_core.experiments.files import Experiment\n"
        "from tidal_core.experiments.running import execute_all\n"
        "folder, owner = pathlib.Path(sys.argv[1]), os.getpid()\n"
        "def kill(said):\n"
        "    players = [str(one.pid) for one in psutil.Process(owner).children(recursive=True)]\n"
        "    beside = folder / f'players.{os.getpid()}'\n"
        "    beside.write_text(' '.join(players))\n"
        "    beside.rename(folder / 'players')\n"
        "    os.kill(owner, signal.SIGKILL)\n"
        "    threading.Event().wait()\n"
        "execute_all(Experiment(folder), make_dataset(folder.parents[1]), jobs=2, say=kill)"
    )
    subprocess.run([sys.executable, "-c", code, str(killed.folder)], check=False, stderr=subprocess.DEVNULL)
    pids = [int(pid) for pid in (killed.folder / "players").read_text().split()]
    players = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    assert len(pids) >= 2
    _, alive = psutil.wait_procs(players, timeout=WAIT_SECONDS)
    assert not alive, "they stay, for nobody"
    assert 1 <= rounds_done(killed)[0] <= 2

    execute_all(killed, dataset, say=lambda _: None)

    for one, other in zip(runs_of(alone, dataset), runs_of(killed, dataset), strict=True):
        for a, b in zip(*(map(json.loads, run.file.read_text().splitlines()) for run in (one, other)), strict=True):
            assert {k: v for k, v in a.items() if k not in TIMES} == {k: v for k, v in b.items() if k not in TIMES}


def test_configurations_and_runs_can_be_added_and_the_protocol_cannot_change(tmp_path: Path) -> None:
    begin(tmp_path, "first", SPEC)
    more = begin(tmp_path, "first", Spec("made", TINY, ("badge",), (10.0,), 1))

    assert more.spec == Spec("made", TINY, ("random", "margin", "badge"), (1.0, 10.0), 2)
    with pytest.raises(InputError, match="another data set or other settings"):
        begin(tmp_path, "first", Spec("made", TINY.changed(rounds=2), ("random",)))


@pytest.mark.parametrize("name", ["", "..", "../elsewhere", "a/b"])
def test_a_name_that_is_no_folders_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of an experiment"):
        begin(tmp_path, name, SPEC)

    assert list(tmp_path.iterdir()) == []


def test_an_unknown_configuration_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no strategy 'guess'"):
        begin(tmp_path, "first", Spec("made", TINY, ("guess",)))
    with pytest.raises(InputError, match="at least one"):
        begin(tmp_path, "first", Spec("made", TINY, ()))
    with pytest.raises(InputError, match="imbalance ratio is 0"):
        begin(tmp_path, "first", Spec("made", TINY, ("random",), (1.0, 0.5)))

    assert experiments(tmp_path) == []


def test_two_cannot_execute_the_same_experiment(tmp_path: Path) -> None:
    experiment = begin(tmp_path, "first", SPEC)
    code = (
        "import sys, pathlib; from tidal_core.ownership import owning\n"
        "with owning(pathlib.Path(sys.argv[1])): print('mine', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(experiment.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "mine\n"
        assert experiment.owner == other.pid
        with (
            pytest.raises(InputError, match=f"Process {other.pid} is already working on 'first'"),
            owning(experiment.folder),
        ):
            pass
        assert stop(experiment.folder)
        other.wait()
    assert experiment.owner is None
    assert not stop(experiment.folder)


def test_an_owner_that_is_gone_holds_nothing(tmp_path: Path) -> None:
    experiment = begin(tmp_path, "first", SPEC)
    (experiment.folder / "owner.json").write_text(json.dumps({"pid": 2**22 - 1, "created": 0}))

    assert experiment.owner is None


def test_what_was_never_begun_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no experiment 'nothing'"):
        _ = Experiment(tmp_path / "nothing").spec


def test_a_started_process_owns_its_folder_while_it_is_still_importing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "begun"
    with held_at_start(tmp_path / "gate", monkeypatch):
        pid = start(["experiment-resume", "nothing"], folder)

        assert owner_of(folder) == pid
        with pytest.raises(InputError, match="working on 'begun'"):
            start(["experiment-resume", "nothing"], folder)
        assert stop(folder)
