"""A round trains on what is cached while the rest of an import is still coming in."""

from pathlib import Path

import pytest

from tests.helpers.gates import WAIT_SECONDS, Gate, wait_for
from tests.images.photos import save
from tidal_core.config import ProjectSettings
from tidal_core.images import ingest as module
from tidal_core.labelling.desk import Desk
from tidal_core.records import Answer, AnswerKind, RoundState
from tidal_core.server.studio import Studio


@pytest.mark.usefixtures("short_rounds")
def test_a_round_trains_on_what_is_cached_while_the_rest_is_coming_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(40):
        save(tmp_path / "p" / f"{seed:02d}.jpg", seed=seed)
    monkeypatch.setattr(module, "_BATCH_IMAGES", 8)
    monkeypatch.setattr(module, "_IN_FLIGHT", 2)
    decode, seen, gate = module.open_image, set[str](), Gate()

    def held_up(data: bytes, name: str, **options: object) -> object:
        seen.add(name)
        if len(seen) > 30:
            gate.stop_here()
        return decode(data, name, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "open_image", held_up)
    studio = Studio()
    try:
        settings = ProjectSettings(training_size=16, labels_per_round=6, audit_share=0.0)
        project = studio.create("flowers", settings, ("dark", "light"))
        job = studio.start_import(project, str(tmp_path / "p"))
        wait_for(lambda: project.store.images.count() >= 24)

        served = Desk(project).next("tab", 6)
        project.store.answers.record(
            [
                Answer(f"e{number}", AnswerKind.LABEL, item.image.id, 1 + number % 2)
                for number, item in enumerate(served)
            ]
        )
        studio.worker.wake()
        wait_for(lambda: project.store.rounds.latest(RoundState.DONE) is not None)

        assert len(served) == 6
        assert job.running
        assert 24 <= project.store.images.count() < 40
        gate.open()
        assert job.wait(WAIT_SECONDS)
        assert job.report is not None
        assert job.report.read == 40
        assert job.report.problems == ()
        assert project.store.images.unlabelled_ids().size == 34
    finally:
        gate.open()
        studio.worker.stop(WAIT_SECONDS)
        studio.close()
