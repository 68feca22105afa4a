"""A replay as a file: a page that loads nothing and takes names for text, animations, a film; and the command."""

from __future__ import annotations

import itertools
import json
import re
import sys
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from benchmarks.made_up import Size, make
from tests.export.test_report import HOSTILE, Seen
from tidal_core import cli
from tidal_core.errors import InputError
from tidal_core.export.replay import film, write_replay
from tidal_core.export.replay.collect import replay_info
from tidal_core.export.replay.page import estimated_bytes, page, pictured
from tidal_core.projects import Project

SIZE = Size(labelled=30, pool=20, test=40, rounds=3, epochs=4, classes=len(HOSTILE))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDAL_HOME", str(tmp_path_factory.mktemp("replay")))
        made = make("hostile", SIZE, class_names=HOSTILE)
    made.store.curves.drop_before(2)
    return made


def seen(text: str) -> Seen:
    found = Seen()
    found.feed(text)
    return found


def test_the_page_may_load_nothing_and_run_only_its_own_script(project: Project) -> None:
    found = seen(page(project, replay_info(project)))

    policy = next(of["content"] for tag, of in found.tags if tag == "meta" and of.get("http-equiv"))
    assert policy is not None
    assert re.fullmatch(
        r"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-[\w+/]+='", policy
    )
    assert [of for _, of in found.tags if "src" in of] == []
    assert not {tag for tag, _ in found.tags} & {"link", "iframe", "object", "embed", "b", "i"}
    assert not any(name.startswith("on") for _, of in found.tags for name in of)
    assert [of["type"] for tag, of in found.tags if tag == "script"] == [
        "application/json", "application/json", "text/plain", "module"
    ]  # fmt: skip


def test_names_of_classes_come_out_as_they_are(project: Project) -> None:
    text = page(project, replay_info(project))

    head = json.loads(text.split('id="head">')[1].split("</script>")[0])
    assert [each["name"] for each in head["classes"]] == list(HOSTILE)
    assert all(name not in text for name in HOSTILE if "<" in name)


def test_the_size_that_is_stated_before_is_that_of_the_page(project: Project) -> None:
    info = replay_info(project)
    text = page(project, info)

    assert len(text.encode()) == pytest.approx(estimated_bytes(project, info), rel=0.05)
    pictures = json.loads(text.split('id="pictures">')[1].split("</script>")[0])
    assert sorted(map(int, pictures)) == pictured(info)


@pytest.mark.parametrize("kind", ["webp", "gif"])
def test_an_animation_has_a_frame_for_each_moment_and_stays_at_the_ends_of_rounds(
    kind: str, project: Project, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    target = write_replay(
        project, tmp_path / f"a.{kind}", dark=True, progress=lambda done, total: told.append((done, total))
    )

    n = len(replay_info(project).moments)
    with Image.open(target) as opened:
        assert (opened.n_frames, opened.size) == (n, (film.WIDTH, film.HEIGHT)) == (9, (960, 540))
        frames = []
        for place in range(n):
            opened.seek(place)
            frames.append(np.asarray(opened.convert("RGB"), dtype=np.int16))
    assert all(np.abs(before - after).max() > 40 for before, after in itertools.pairwise(frames))
    assert np.abs(frames[0][-1, -1] - [0x0F, 0x17, 0x1D]).max() < 8, "the ground is that of the dark theme"
    assert told[-1] == (9, 9)


def test_a_film_lasts_as_long_as_was_said(project: Project, tmp_path: Path) -> None:
    target = write_replay(project, tmp_path / "a.mp4", epochs_per_second=10)

    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(target))
    plan = film.plan(replay_info(project), epochs_per_second=10)
    assert plan.milliseconds == (400, *[100] * 3, 1200, *[100] * 3, 1200)
    assert frames == round(plan.seconds * 25)
    assert seconds == pytest.approx(plan.seconds, abs=0.1)


def test_of_a_long_story_some_epochs_are_shown_and_every_end_of_a_round(project: Project) -> None:
    info = replay_info(project)

    plan = film.plan(info, most_frames=5)

    assert len(plan.moments) <= 5
    assert {moment for moment in info.moments if info.ended(moment) > moment.round} <= set(plan.moments)


def test_a_file_that_exists_or_has_another_ending_is_refused(project: Project, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("mine")

    with pytest.raises(InputError, match="--overwrite"):
        write_replay(project, tmp_path / "a.html")
    with pytest.raises(InputError, match=r"ends with one of \.html, \.webp, \.gif, \.mp4"):
        write_replay(project, tmp_path / "a.avi")
    assert (tmp_path / "a.html").read_text() == "mine"


def test_without_the_package_a_film_says_how_to_install_it(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidal_core.export.replay.has_mp4", lambda: False)

    with pytest.raises(InputError, match="python -m pip install imageio-ffmpeg"):
        write_replay(project, tmp_path / "a.mp4")


def test_the_command_says_how_large_the_page_will_be_and_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDAL_HOME", str(tmp_path / "home"))
    make("small", SIZE).close()
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", ["tidal_core", "export-replay", "small", "--to", str(tmp_path / "out" / "a.html")])

    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert re.search(r"The page will be about \d\.\d MB\.\nThe replay is in .*a\.html \(\d\.\d MB\)", said)
    assert seen((tmp_path / "out" / "a.html").read_text(encoding="utf-8")).tags
