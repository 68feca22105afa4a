"""Import reports for people: a few lines to read at once, and a file that names every problem."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tidal_core.files import atomic
from tidal_core.images.pixels import REFILL_SOURCE
from tidal_core.projects import Project
from tidal_core.records import ImportReport
from tidal_core.text import SpreadsheetRows


def report_in_words(report: ImportReport) -> str:
    """One sentence: "350 images read in 1.2 s (290 a second); 3 already in the project; 2 problems or remarks."."""
    if report.source == REFILL_SOURCE:
        return _about_refill(report)
    speed = f" ({report.read / report.seconds:,.0f} a second)" if report.read and report.seconds > 0 else ""
    parts = [f"{_count(report.read, 'image')} read in {report.seconds:.1f} s{speed}"]
    if report.known:
        parts.append(f"{report.known:,} already in the project")
    if report.duplicates:
        parts.append(f"{_count(report.duplicates, 'file')} with the same content as another")
    if report.near_duplicates:
        parts.append(f"{_count(report.near_duplicates, 'near-duplicate')} of another image")
    if report.labels:
        parts.append(f"{_count(report.labels, 'label')} imported")
    parts.append(
        _count(len(report.problems), "problem or remark", "problems or remarks") if report.problems else "no problems"
    )
    return ("Cancelled. " if report.cancelled else "") + "; ".join(parts) + "."


def _about_refill(report: ImportReport) -> str:
    work = f"{_count(report.refilled, 'image')} processed at the training size in {report.seconds:.1f} s"
    problems = _count(len(report.problems), "problem") if report.problems else "no problems"
    end = (
        " The model still sees the images as they were; save the settings again to continue."
        if report.cancelled
        else ""
    )
    return ("Cancelled. " if report.cancelled else "") + f"{work}; {problems}.{end}"


def combined(reports: Sequence[ImportReport]) -> ImportReport:
    """One report of several imports that followed each other."""
    if len(reports) == 1:
        return reports[0]
    return ImportReport(
        source=", ".join(report.source for report in reports),
        read=sum(report.read for report in reports),
        known=sum(report.known for report in reports),
        duplicates=sum(report.duplicates for report in reports),
        labels=sum(report.labels for report in reports),
        problems=tuple(problem for report in reports for problem in report.problems),
        seconds=sum(report.seconds for report in reports),
        near_duplicates=sum(report.near_duplicates for report in reports),
        cancelled=any(report.cancelled for report in reports),
        how_read=" ".join(dict.fromkeys(report.how_read for report in reports if report.how_read)),
        notices=tuple(notice for report in reports for notice in report.notices),
        refilled=sum(report.refilled for report in reports),
    )


def write_problems(report: ImportReport, path: Path) -> None:
    """Every problem as one row of a CSV file: name, reason, remedy."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        rows = SpreadsheetRows(file)
        rows.writerow(["name", "reason", "remedy"])
        rows.writerows((problem.name, problem.reason, problem.remedy) for problem in report.problems)


def keep_problems(project: Project, report: ImportReport) -> Path | None:
    """Keep the problems in the project's folder; returns the file, None when there was no problem."""
    if not report.problems:
        return None
    folder = project.folder / "imports"
    numbers = (path.stem.removeprefix("import-") for path in folder.glob("import-*.csv"))
    last = max((int(number) for number in numbers if number.isdecimal()), default=0)
    path = folder / f"import-{last + 1:03d}.csv"
    write_problems(report, path)
    return path


def printable(text: str) -> str:
    """A file name as one line without control characters: names can hold escape sequences and line ends."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _count(n: int, singular: str, plural: str | None = None) -> str:
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"
