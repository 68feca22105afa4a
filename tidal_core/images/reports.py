"""Import reports for people: a few lines to read at once, and a file that names every problem."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from tidal_core.files import atomic
from tidal_core.images.pixels import REFILL_SOURCE
from tidal_core.projects import Project
from tidal_core.records import ImportReport
from tidal_core.text import spreadsheet_safe


def summary(report: ImportReport) -> str:
    """One sentence: "350 images read in 1.2 s (290 a second); 3 known before; 2 problems"."""
    if report.source == REFILL_SOURCE:
        return _about_refill(report)
    speed = f" ({report.read / report.seconds:,.0f} a second)" if report.read and report.seconds > 0 else ""
    parts = [f"{_count(report.read, 'image')} read in {report.seconds:.1f} s{speed}"]
    if report.known:
        parts.append(f"{report.known:,} known before")
    if report.duplicates:
        parts.append(f"{_count(report.duplicates, 'file')} with the content of another")
    if report.near_duplicates:
        parts.append(f"{report.near_duplicates:,} that look like another image")
    if report.labels:
        parts.append(f"{_count(report.labels, 'label')} came along")
    parts.append(
        _count(len(report.problems), "remark or problem", "remarks and problems") if report.problems else "no problems"
    )
    return ("Cancelled. " if report.cancelled else "") + "; ".join(parts) + "."


def _about_refill(report: ImportReport) -> str:
    what = f"{_count(report.refilled, 'image')} brought to the training size in {report.seconds:.1f} s"
    problems = f"{_count(len(report.problems), 'problem')}" if report.problems else "no problems"
    end = " The pixel cache stays as it was; saving the settings again goes on." if report.cancelled else ""
    return ("Cancelled. " if report.cancelled else "") + f"{what}; {problems}.{end}"


def together(reports: Sequence[ImportReport]) -> ImportReport:
    """One report of several imports that followed each other."""
    if len(reports) == 1:
        return reports[0]
    return ImportReport(
        source=", ".join(one.source for one in reports),
        read=sum(one.read for one in reports),
        known=sum(one.known for one in reports),
        duplicates=sum(one.duplicates for one in reports),
        labels=sum(one.labels for one in reports),
        problems=tuple(problem for one in reports for problem in one.problems),
        seconds=sum(one.seconds for one in reports),
        near_duplicates=sum(one.near_duplicates for one in reports),
        cancelled=any(one.cancelled for one in reports),
        refilled=sum(one.refilled for one in reports),
    )


def write_problems(report: ImportReport, path: Path) -> None:
    """Every problem as one row of a CSV file: name, reason, remedy."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", "reason", "remedy"])
        writer.writerows(
            [spreadsheet_safe(text) for text in (problem.name, problem.reason, problem.remedy)]
            for problem in report.problems
        )


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


def plain(text: str) -> str:
    """A file name as one line without control characters: names can hold escape sequences and line ends."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _count(n: int, one: str, many: str | None = None) -> str:
    return f"{n:,} {one if n == 1 else many or one + 's'}"
