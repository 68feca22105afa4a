"""An import in the background."""

from pathlib import Path

from tidal_core.images.jobs import ImportJob
from tidal_core.projects import Project


def test_a_job_ends_with_its_report_and_keeps_the_problems(project: Project, photos: Path) -> None:
    (photos / "empty.jpg").write_bytes(b"")

    job = ImportJob(project, sources=(str(photos),), labels="known").start()

    assert job.wait(30)
    assert job.report is not None
    assert (job.report.read, len(job.report.problems)) == (5, 1)
    assert job.progress is not None
    assert job.progress.done == 6
    assert (project.folder / "imports" / "import-001.csv").exists()


def test_a_source_that_is_not_there_is_an_error_to_show(project: Project, tmp_path: Path) -> None:
    job = ImportJob(project, sources=(str(tmp_path / "nowhere"),)).start()

    assert job.wait(30)
    assert job.report is None
    assert "check the name" in (job.error or "")


def test_a_job_that_is_stopped_ends_soon_with_what_it_read(project: Project) -> None:
    job = ImportJob(project, sources=("digits:",)).start()

    assert job.stop(10)
    assert job.report is not None
    assert job.report.read == project.store.images.count()
