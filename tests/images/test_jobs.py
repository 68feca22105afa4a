"""An import in the background."""

from pathlib import Path

from tests.helpers.gates import WAIT_SECONDS, Gate
from tidal_core.images.ingest import ImportProgress
from tidal_core.images.jobs import ImportJob
from tidal_core.projects import Project


def test_a_job_ends_with_its_report_and_keeps_the_problems(project: Project, photos: Path) -> None:
    (photos / "empty.jpg").write_bytes(b"")

    job = ImportJob(project, sources=(str(photos),), labels="known").start()

    assert job.wait(WAIT_SECONDS)
    assert job.report is not None
    assert job.report.read == 5
    assert [problem.name for problem in job.report.problems] == ["empty.jpg", "the top folder"]
    assert job.progress is not None
    assert job.progress.done == 6
    assert (project.folder / "imports" / "import-001.csv").exists()


def test_a_source_that_is_not_there_is_an_error_to_show(project: Project, tmp_path: Path) -> None:
    job = ImportJob(project, sources=(str(tmp_path / "nowhere"),)).start()

    assert job.wait(WAIT_SECONDS)
    assert job.report is None
    assert "check the name" in (job.error or "")


def test_a_job_that_is_stopped_ends_with_what_it_read(project: Project) -> None:
    gate = Gate()

    class Held(ImportJob):
        def _show(self, step: ImportProgress) -> None:
            gate.stop_here()

    job = Held(project, sources=("digits:",)).start()
    with gate:
        gate.wait_reached()
        job.cancel()

    assert job.wait(WAIT_SECONDS)
    assert job.report is not None
    assert job.report.cancelled
    assert 0 < job.report.read == project.store.images.count() < 1_797


def test_a_source_that_cannot_be_read_does_not_keep_the_others_out(
    project: Project, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "sent.zip").write_bytes(b"PK, and nothing that follows")

    job = ImportJob(project, sources=(str(tmp_path / "sent.zip"), str(photos))).start()

    assert job.wait(WAIT_SECONDS)
    assert "sent.zip" in (job.error or "")
    assert job.report is not None
    assert job.report.read == 5


def test_an_earlier_table_of_problems_is_never_written_over(project: Project, photos: Path) -> None:
    (photos / "empty.jpg").write_bytes(b"")
    for _ in range(2):
        ImportJob(project, sources=(str(photos),)).start().wait(WAIT_SECONDS)
    (project.folder / "imports" / "import-001.csv").unlink()
    (project.folder / "imports" / "import-002.csv").write_text("of another day")

    ImportJob(project, sources=(str(photos),)).start().wait(WAIT_SECONDS)

    assert (project.folder / "imports" / "import-002.csv").read_text() == "of another day"
    assert (project.folder / "imports" / "import-003.csv").exists()


def test_a_report_is_there_also_where_its_problems_cannot_be_kept(project: Project, photos: Path) -> None:
    (photos / "empty.jpg").write_bytes(b"")
    (project.folder / "imports").write_text("in the way")

    job = ImportJob(project, sources=(str(photos),)).start()

    assert job.wait(WAIT_SECONDS)
    assert job.report is not None
    assert "could not be saved" in (job.error or "")
