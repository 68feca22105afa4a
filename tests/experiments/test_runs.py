"""One run: what it keeps, how it goes on, that it can be repeated."""

import importlib
import itertools
import os
import re
import resource
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.experiments.made import TINY, WARM, lasting, make_dataset
from tidal_core.engine import code_version as code_versions
from tidal_core.engine.model import Model
from tidal_core.errors import InputError
from tidal_core.experiments.files import read
from tidal_core.experiments.protocol import Configuration, Protocol, start_of
from tidal_core.experiments.runs import Run, _State, _Trained, execute, repeat
from tidal_core.records import PoolView
from tidal_core.strategies.margin import Margin


def make_run(folder: Path, configuration: str = "margin", protocol: Protocol = TINY, number: int = 0) -> Run:
    return Run(make_dataset(folder), protocol, Configuration.parse(configuration), 1.0, number, folder / "runs")


def test_a_run_asks_new_images_every_round_and_keeps_what_it_was(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    lines = list(execute(run))

    assert [line["labels"] for line in lines] == [6, 10, 14]
    assert [len(line["asked"]) for line in lines] == [4, 4, 0]
    asked = [row for line in lines for row in line["asked"]]
    assert len(set(asked)) == 8
    assert min(asked) >= 20, "test images are never asked"
    kept = read(run.file)
    assert kept is not None
    assert kept.rounds == lines
    assert kept.header["versions"]["torch"]
    for line in lines:
        assert sum(line["trained_classes"]) == line["trained_on"] == line["labels"]
        assert line["balanced_accuracy"] == pytest.approx(np.mean(line["recalls"]))
        assert 0 <= line["validation_accuracy"] <= 1
        assert line["peak_gb"] > 0


@pytest.mark.parametrize("configuration", ["tidal-entropy/plain", "random+td"])
@pytest.mark.parametrize("warm", [False, True])
def test_a_run_that_was_killed_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, configuration: str, warm: bool
) -> None:
    protocol = WARM if warm else TINY
    whole = list(execute(make_run(tmp_path / "whole", configuration, protocol)))
    run = make_run(tmp_path / "killed", configuration, protocol)
    next(iter(execute(run)))
    with run.file.open("a") as file:
        file.write('{"round": 2, "lab')  # killed while it wrote

    rest = list(execute(run))

    assert [line["round"] for line in rest] == [2, 3]
    kept = read(run.file)
    assert kept is not None
    assert lasting(kept.rounds) == lasting(whole)
    assert [path.name for path in run.folder.iterdir()] == [run.file.name], "weights are tidied away"


def test_finished_rounds_are_not_written_anew_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path)
    first = next(iter(execute(run)))
    with run.file.open("a") as file:
        file.write('{"round": 2, "lab')

    def killed_while_writing(self: Path, *_: object, **__: object) -> None:
        self.open("w").close()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", killed_while_writing)
        patch.setattr("tidal_core.experiments.runs.forget_peak", lambda device: None)
        list(execute(run, should_stop=lambda: True))

    kept = read(run.file)
    assert kept is not None
    assert kept.rounds == [first]


def test_a_round_that_was_played_elsewhere_says_where(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    next(iter(execute(run)))
    run.file.write_text(re.sub(r'"torch": "[^"]*"', '"torch": "0.1"', run.file.read_text()))

    rest = list(execute(run))

    assert [line["machine"]["versions"]["torch"] for line in rest] == [torch.__version__] * 2
    kept = read(run.file)
    assert kept is not None
    assert "machine" not in kept.rounds[0]
    assert repeat(run, tmp_path / "again") == []


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="only Linux forgets a peak")
def test_peak_memory_is_the_rounds_own_and_not_what_the_process_needed_before(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    before = np.ones(100_000_000)  # 0.8 GB, gone when the run begins
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    del before

    first = next(iter(execute(run)))

    assert first["peak_gb"] < peak - 0.5


def test_a_system_without_the_module_resource_can_execute_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows

    assert next(iter(execute(make_run(tmp_path))))["peak_gb"] > 0


def test_a_finished_run_is_repeated_bit_for_bit(tmp_path: Path) -> None:
    run = make_run(tmp_path, "badge")
    list(execute(run))

    assert repeat(run, tmp_path / "again") == []


def test_a_repetition_that_differs_says_where(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    list(execute(run))
    text = run.file.read_text().replace('"round": 2, "labels": 10', '"round": 2, "labels": 11')
    run.file.write_text(text)

    assert repeat(run, tmp_path / "again") == ["round 2: labels"]


def test_a_finished_run_is_not_played_again(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    list(execute(run))

    assert list(execute(run)) == []


def test_all_arms_of_a_run_start_from_the_same_images(tmp_path: Path) -> None:
    first = [
        next(iter(execute(make_run(tmp_path / configuration, configuration))))["trained_classes"]
        for configuration in ("random", "coreset")
    ]

    assert first[0] == first[1]


def test_neither_test_nor_validation_labels_decide_what_is_asked(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    data = run.dataset
    start = start_of(data.labels, data.pool_rows, data.test_rows, run.protocol, run.imbalance, run.number)
    looked_at = np.concatenate([run.dataset.test_rows, start.validation])
    labels = run.dataset.labels.copy()
    labels[looked_at] = (labels[looked_at] + 1) % 3
    blind = replace(run, dataset=replace(run.dataset, labels=labels), folder=tmp_path / "blind")

    lines, others = list(execute(run)), list(execute(blind))

    assert [line["asked"] for line in lines] == [line["asked"] for line in others]
    assert [line["accuracy"] for line in lines] != [line["accuracy"] for line in others]


def test_arms_of_a_run_score_the_same_part_of_the_pool(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    one, other = (_State(make_run(tmp_path, configuration)) for configuration in ("random", "margin"))
    free = np.setdiff1d(one.start.pool, one.start.first)
    asked = one._subset(free, 4, 1)[:2]

    np.testing.assert_array_equal(one._subset(free, 4, 1), other._subset(free, 4, 1))
    assert len(one._subset(free, 4, 1)) == 20
    # Once they have asked for different images, they differ by as many.
    rest = np.setdiff1d(one._subset(np.setdiff1d(free, asked), 4, 2), other._subset(free, 4, 2))
    assert len(rest) <= 2


def test_a_file_of_other_settings_is_not_gone_on_with(tmp_path: Path) -> None:
    list(execute(make_run(tmp_path)))

    with pytest.raises(InputError, match="started with other settings;"):
        list(execute(make_run(tmp_path, protocol=TINY.changed(per_round=5))))


def test_a_run_does_not_go_on_with_other_pixels_under_the_same_labels(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    next(iter(execute(run)))
    np.save(run.dataset.pixels, 255 - np.load(run.dataset.pixels))

    with pytest.raises(InputError, match="started with other images or labels;"):
        list(execute(run))


@pytest.mark.parametrize("changed", ["engine/step.py", "strategies/confidence.py", "experiments/runs.py"])
def test_a_run_does_not_go_on_with_other_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    run = make_run(tmp_path / "data")
    next(iter(execute(run)))
    package = tmp_path / "tidal_core"
    shutil.copytree(code_versions.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "ui"))
    monkeypatch.setattr(code_versions, "PACKAGE", package)
    code_versions.code_version.cache_clear()
    try:
        assert len(list(execute(run))) == 2  # the same code elsewhere
        again = make_run(tmp_path / "data", number=1)
        next(iter(execute(again)))
        (package / changed).write_text((package / changed).read_text() + "\n")
        code_versions.code_version.cache_clear()
        with pytest.raises(InputError, match="started with other code"):
            list(execute(again))
    finally:
        code_versions.code_version.cache_clear()


def test_a_strategy_of_another_package_is_a_part_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "from tidal_core.strategies.margin import Margin\nclass Mine(Margin):\n    name = 'mine'\n"
    (tmp_path / "package_of_mine.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    kind = importlib.import_module("package_of_mine").Mine
    before = code_versions.foreign_code_version(kind)
    (tmp_path / "package_of_mine.py").write_text(text + "    sign = -1\n")

    assert before is not None
    assert code_versions.foreign_code_version(kind) != before
    assert code_versions.foreign_code_version(Margin) is None


def test_to_stop_leaves_the_round_to_be_done_again(tmp_path: Path) -> None:
    run = make_run(tmp_path)

    assert list(execute(run, should_stop=lambda: True)) == []
    assert len(list(execute(run))) == 3


def test_the_studios_delay_answers_each_batch_from_the_ranking_before(tmp_path: Path) -> None:
    prompt = list(execute(make_run(tmp_path / "prompt", protocol=replace(TINY, rounds=4))))
    run = make_run(tmp_path / "stale", protocol=replace(TINY, rounds=4, stale=True, audit_share=0.25))
    stale = list(execute(run))

    assert len(prompt[0]["asked"]) == 4
    assert [len(line["asked"]) for line in stale] == [3, 3, 3, 0]
    assert [line["labels"] for line in stale] == [6, 10, 14, 18]
    assert [line["trained_on"] for line in stale] == [6, 9, 12, 15]
    waiting = [row for row in stale[0]["waiting"] if row >= 0]
    assert stale[1]["asked"] == waiting, "ranked after the first round, answered after the second"
    everything = [row for line in stale for row in line["asked"] + line["audited"]]
    assert len(set(everything)) == len(everything)


@pytest.mark.parametrize("stale", [False, True])
def test_small_batches_keep_the_audit_share_together(tmp_path: Path, stale: bool) -> None:
    protocol = replace(TINY, per_round=3, rounds=6, stale=stale, audit_share=0.4)
    lines = list(execute(make_run(tmp_path, "random", protocol=protocol)))

    assert [len(line["audited"]) for line in lines] == [1, 1, 1, 1, 2, 0]  # of 15 labels, 6


@pytest.mark.parametrize("number", [0, 1, 3, 4])
def test_what_waits_to_be_audited_is_not_asked(tmp_path: Path, number: int) -> None:
    protocol = replace(TINY, rounds=4, per_round=8, stale=True, audit_share=0.5)
    lines = list(execute(make_run(tmp_path, protocol=protocol, number=number)))

    everything = [row for line in lines for row in line["asked"] + line["audited"]]
    assert len(set(everything)) == len(everything)


def test_a_stale_run_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    protocol = replace(TINY, stale=True, audit_share=0.25)
    whole = list(execute(make_run(tmp_path / "whole", protocol=protocol)))
    run = make_run(tmp_path / "killed", protocol=protocol)
    next(iter(execute(run)))

    assert lasting(list(execute(run))) == lasting(whole[1:])


@pytest.mark.parametrize("stop", [1, 2, 5, 6, 8])
def test_a_run_that_was_stopped_at_any_batch_goes_on_as_if_nothing_had_happened(tmp_path: Path, stop: int) -> None:
    protocol = replace(WARM, rounds=2, stale=True, audit_share=0.25)
    whole = list(execute(make_run(tmp_path / "whole", "random+td", protocol)))
    run, asked = make_run(tmp_path / "stopped", "random+td", protocol), itertools.count(1)
    list(execute(run, should_stop=lambda: next(asked) >= stop))

    list(execute(run))

    kept = read(run.file)
    assert kept is not None
    assert lasting(kept.rounds) == lasting(whole)


def test_an_arm_that_cannot_be_trained_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidal_core.experiments.runs.COMPANIONS", {})

    with pytest.raises(InputError, match="needs the extra model head 'td'"):
        list(execute(make_run(tmp_path, "tidal-entropy")))


def test_repeating_what_was_never_played_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="only a run that was started"):
        repeat(make_run(tmp_path), tmp_path / "again")


def test_plain_is_judged_by_a_classifier_without_the_module_and_asked_by_the_one_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged, asked = [], []
    tested, view = _State._tested, _State._view

    def noted(self: _State, model: Model, rows: np.ndarray, prefix: str) -> dict[str, object]:
        judged.append(sorted(model.companions))
        return tested(self, model, rows, prefix)

    def noted_view(self: _State, trained: _Trained, rows: np.ndarray) -> PoolView:
        asked.append(sorted(trained.model.companions))
        return view(self, trained, rows)

    monkeypatch.setattr(_State, "_tested", noted)
    monkeypatch.setattr(_State, "_view", noted_view)

    next(iter(execute(make_run(tmp_path, "tidal-entropy/plain"))))

    assert judged == [[], []]
    assert asked == [["td"]]
