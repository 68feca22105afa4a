"""Workers on a cluster of two nodes: lost, stopped, refused, out of room; and who may start Ray at all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.helpers.gates import wait_for
from tests.helpers.ray_nodes import Nodes
from tests.helpers.works import Doubling
from tidal_core.engine.executors import LOCAL, Memory, Watch
from tidal_core.engine.executors.choosing import chosen
from tidal_core.engine.executors.ray_cluster import RayExecutor
from tidal_core.engine.executors.ray_worker import Host, Orders, versions
from tidal_core.errors import InputError, OutOfMemory, Stopped, WorkersLost


def done(executor: Any, work: Doubling, n: int, **watch: Callable[..., Any]) -> dict[int, int]:
    return {position: value for position, (value, _) in executor.run(work, list(range(n)), n, Watch(**watch))}


def test_both_executors_do_all_tasks_and_say_which(tmp_path: Path, nodes: Nodes) -> None:
    expected = {n: 2 * n for n in range(7)}
    assert done(LOCAL, Doubling(tmp_path), 7) == expected
    for file in tmp_path.iterdir():
        file.unlink()
    (tmp_path / "closed").touch()

    def open_when_both_work() -> None:
        if (tmp_path / "has-1").exists() and (tmp_path / "has-2").exists():
            (tmp_path / "open").touch()

    with RayExecutor(nodes.address) as ray:
        work = Doubling(tmp_path, folders=(tmp_path,), ahead=0)
        results = dict(ray.run(work, list(range(7)), 7, Watch(meanwhile=open_when_both_work)))

    assert {n: value for n, (value, _) in results.items()} == expected
    assert len({place.pid for place in ray.places}) == 2, "a worker on each node"
    assert list(tmp_path.glob(".shared*")) == []


def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(tmp_path: Path, nodes: Nodes) -> None:
    (tmp_path / "kill-3").touch()
    said: list[str] = []

    with RayExecutor(nodes.address) as ray:
        results = done(ray, Doubling(tmp_path), 7, say=said.append)

    assert results == {n: 2 * n for n in range(7)}
    assert ray.lost == 1
    assert any("was lost" in words and "go to another" in words for words in said), said


def test_a_task_that_kills_every_worker_is_given_up_in_words(tmp_path: Path, nodes: Nodes) -> None:
    (tmp_path / "always-0").touch()

    with RayExecutor(nodes.address, workers=1) as ray, pytest.raises(WorkersLost, match="lost with 3 workers"):
        done(ray, Doubling(tmp_path), 2)


def test_what_a_worker_refuses_comes_as_it_was_raised_there(tmp_path: Path, nodes: Nodes) -> None:
    (tmp_path / "refuse-1").touch()

    with RayExecutor(nodes.address, workers=1) as ray, pytest.raises(InputError, match=r"^1 cannot be doubled; give"):
        done(ray, Doubling(tmp_path), 2)


def test_asked_to_stop_it_ends_the_workers_whatever_they_do(tmp_path: Path, nodes: Nodes) -> None:
    (tmp_path / "closed").touch()

    with RayExecutor(nodes.address, workers=1) as ray:
        results = ray.run(Doubling(tmp_path), [0, 1, 2], 3, Watch(should_stop=lambda: (tmp_path / "has-1").exists()))
        _, (_, pid) = next(results)
        with pytest.raises(Stopped):
            next(results)
        wait_for(lambda: not psutil.pid_exists(pid), "the end of the worker")


@pytest.mark.parametrize("far", [True, False])
def test_results_that_do_not_fit_here_are_refused_before_anything_starts(
    tmp_path: Path, nodes: Nodes, far: bool
) -> None:
    work = Doubling(tmp_path, Memory(2**20, 2**10, 2**50))

    with (
        chosen("ray" if far else "local", nodes.address if far else None) as executor,
        pytest.raises(OutOfMemory, match=r"results of 3 images need 1,048,576\.0 GiB in this process and .* are free"),
    ):
        executor.run(work, [0, 1, 2], 3)

    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_fits_nowhere_is_refused_and_fewer_than_wanted_are_announced(
    tmp_path: Path, nodes: Nodes
) -> None:
    said: list[str] = []

    with RayExecutor(nodes.address) as ray:
        with pytest.raises(OutOfMemory, match=r"needs 1,048,576\.0 GiB and the largest of 2 machines has \d+\.\d GiB"):
            ray.run(Doubling(tmp_path, Memory(2**50, 2**10, 2**10)), [0, 1], 2)
        with pytest.raises(InputError, match="a worker takes 64 cores and none of 2 machines"):
            ray.run(Doubling(tmp_path, threads=64), [0, 1], 2)
        list(ray.run(Doubling(tmp_path, Memory(2**20, 2**28, 2**10)), [0], 1, Watch(say=said.append)))

    assert any("Results of 1.0 GiB can wait at a time and Ray keeps 0.1 GiB" in words for words in said), said


def test_ray_is_never_started_in_another_thread_than_a_commands_own(nodes: Nodes) -> None:
    raised: list[BaseException] = []

    def as_a_page_would() -> None:
        try:
            with RayExecutor(nodes.address):
                pass
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=as_a_page_would)
    thread.start()
    thread.join()

    assert isinstance(raised[0], RuntimeError)
    assert "never in a page's thread" in str(raised[0])
    import ray

    assert not ray.is_initialized()


def test_a_cluster_is_used_with_tokens_only(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")

    with (
        pytest.raises(InputError, match=r"RAY_AUTH_MODE is 'disabled'.* Set RAY_AUTH_MODE=token"),
        chosen("ray", nodes.address),
    ):
        pass


@pytest.mark.parametrize(
    ("address", "said"),
    [("127.0.0.1:1", r"no Ray cluster answers at 127\.0\.0\.1:1 \(.*refused"), ("here", r"give auto, or HOST:PORT")],
)
def test_where_there_is_no_cluster_that_is_said_at_once(nodes: Nodes, address: str, said: str) -> None:
    with pytest.raises(InputError, match=said), chosen("ray", address):
        pass


def orders(**changed: Any) -> Orders:
    return Orders(b"", versions(), (), True)._replace(**changed)


def test_a_worker_on_a_machine_that_is_not_as_it_must_be_refuses_before_it_opens_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    with pytest.raises(InputError, match="was started without tokens"):
        Host().open(orders())
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with pytest.raises(InputError, match=r"has torch .* and the machine that asks has 1\.0; install the same"):
        Host().open(orders(versions={**versions(), "torch": "1.0"}))
    with pytest.raises(InputError, match=f"does not see the folder {tmp_path}"):
        Host().open(orders(marks=(tmp_path / "mark",)))


def test_without_the_extra_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)

    with (
        pytest.raises(InputError, match=r"not installed; run: .*requirements-ray\.txt.*tidal-studio\[ray\]"),
        chosen("ray"),
    ):
        pass


def test_an_executor_that_does_not_exist_or_an_address_for_none_is_refused() -> None:
    with pytest.raises(InputError, match="'spark' is no executor"), chosen("spark"):
        pass
    with pytest.raises(InputError, match="give --executor ray"), chosen("local", "auto"):
        pass


def test_a_node_that_is_lost_takes_no_task_with_it(tmp_path: Path, nodes: Nodes) -> None:
    """Last: the cluster has one node from here on."""
    (tmp_path / "closed").touch()
    lose = threading.Thread(target=nodes.lose_one)
    said: list[str] = []

    def meanwhile() -> None:
        if lose.ident is None and all((tmp_path / f"has-{n}").exists() for n in (1, 2)):
            lose.start()
        elif said:
            (tmp_path / "open").touch()

    with RayExecutor(nodes.address) as ray:
        work = Doubling(tmp_path, ahead=0)
        results = {
            position: value
            for position, (value, _) in ray.run(work, list(range(6)), 6, Watch(meanwhile=meanwhile, say=said.append))
        }
    lose.join()

    assert results == {n: 2 * n for n in range(6)}
    assert ray.lost >= 1
