"""Tables of an experiment: Markdown to read, CSV and Parquet to go on with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tidal_core.experiments.results import Results
from tidal_core.experiments.statistics import (
    area_under,
    band,
    label_efficiency,
    paired_runs,
    paired_tests,
    relative,
    win_matrix,
)
from tidal_core.records import Float64, Int64
from tidal_core.text import literal, spreadsheet_row

BASELINE = "random"


def points(results: Results) -> dict[str, list[Any]]:
    """A row per configuration, imbalance ratio and number of labels, as columns."""
    rows: list[dict[str, Any]] = []
    for imbalance in results.imbalances:
        setting = results.setting(imbalance)
        baseline = setting.get(BASELINE)
        for configuration, values in setting.items():
            accuracy_band, balanced_band = (
                band(values),
                band(results.values(configuration, imbalance, "balanced_accuracy")),
            )
            against = band(relative(values, baseline)) if baseline is not None else None
            tests = paired_tests(values, baseline) if baseline is not None and configuration != BASELINE else None
            needs = _efficiency(results.labels, values, baseline) if baseline is not None else None
            for position, labels in enumerate(results.labels.tolist()):
                if accuracy_band.n[position] == 0:
                    continue
                rows.append(
                    {
                        "configuration": configuration,
                        "imbalance": imbalance,
                        "labels": labels,
                        "runs": int(accuracy_band.n[position]),
                        "accuracy": accuracy_band.mean[position],
                        "accuracy_low": accuracy_band.low[position],
                        "accuracy_high": accuracy_band.high[position],
                        "balanced_accuracy": balanced_band.mean[position],
                        "relative_percent": against.mean[position] if against else np.nan,
                        "relative_low": against.low[position] if against else np.nan,
                        "relative_high": against.high[position] if against else np.nan,
                        "label_efficiency": needs[position] if needs is not None else np.nan,
                        "pairs": int(tests.n[position]) if tests else 0,
                        "p_paired": tests.p[position] if tests else np.nan,
                        "p_holm": tests.adjusted[position] if tests else np.nan,
                        "comparisons": tests.comparisons if tests else 0,
                    }
                )
    names = rows[0] if rows else ("configuration", "imbalance", "labels")
    return {name: [row[name] for row in rows] for name in names}


def rounds_table(results: Results) -> dict[str, list[Any]]:
    """A row per run and round as it was measured, as columns."""
    rows = [
        {
            "configuration": configuration,
            "imbalance": imbalance,
            "run": number,
            "round": line["round"],
            "labels": line["labels"],
            "trained_on": line["trained_on"],
            "accuracy": line["accuracy"],
            "balanced_accuracy": line["balanced_accuracy"],
            "validation_accuracy": line.get("validation_accuracy", np.nan),
            "train_s": line["seconds"].get("train", np.nan),
            "score_s": line["seconds"].get("score", np.nan),
            "choose_s": line["seconds"].get("choose", np.nan),
            "peak_gb": line["peak_gb"],
            "asked": line["asked"],
            "asked_classes": line.get("asked_classes", []),  # how many of each class
        }
        for (configuration, imbalance), runs in results.rounds.items()
        for number, rounds in enumerate(runs)
        for line in rounds
    ]
    names = rows[0] if rows else ("configuration", "imbalance", "run", "round")
    return {name: [row[name] for row in rows] for name in names}


def summary(results: Results, imbalance: float) -> list[dict[str, Any]]:
    """A row per configuration: accuracy at the end, area under the curve, labels saved, tests against random."""
    setting = results.setting(imbalance)
    baseline = setting.get(BASELINE)
    rows = []
    for configuration, values in setting.items():
        areas = area_under(results.labels, values)
        row: dict[str, Any] = {
            "configuration": configuration,
            "runs": results.finished(configuration, imbalance),
            "final": _at(band(values), -1),
            "area": _at(band(areas[:, None]), 0),
            "even": _at(band(results.values(configuration, imbalance, "balanced_accuracy")), -1),
            "train_s": results.seconds(configuration, imbalance, "train"),
            "choose_s": results.seconds(configuration, imbalance, "choose"),
        }
        if baseline is not None and configuration != BASELINE:
            tests = paired_tests(values, baseline)
            pairs = min(len(areas), len(baseline))
            gain = areas[:pairs] - area_under(results.labels, baseline)[:pairs]
            row |= {
                "gain": _at(band(gain[:, None]), 0),
                "ratio": _efficiency(results.labels, values, baseline),
                "better": int(((tests.adjusted < 0.05) & (tests.difference > 0)).sum()),
                "worse": int(((tests.adjusted < 0.05) & (tests.difference < 0)).sum()),
                "comparisons": tests.comparisons,
            }
        rows.append(row)
    return rows


def _efficiency(labels: Int64, values: Float64, baseline: Float64) -> Float64:
    """Labels that random needs as a multiple of the configuration's own, from the runs that both have: (P,)."""
    ratios = np.full(len(labels), np.nan)
    own, random = paired_runs(values, baseline)
    if len(own):
        ratios[: own.shape[1]] = label_efficiency(labels, own.mean(axis=0), random.mean(axis=0)).ratio
    return ratios


def markdown(results: Results) -> str:
    """Summary tables and the win matrix; every figure with the number of runs that it rests on."""
    lines = [f"Data: {literal(results.dataset)}. {literal(_machine(results))}", ""]
    for imbalance in results.imbalances:
        if len(results.imbalances) > 1 or imbalance != 1:
            lines += [f"Imbalance ratio {imbalance:g}", ""]
        last = f"{results.labels[-1]:,}" if len(results.labels) else "?"
        lines += [
            f"| configuration | finished runs | accuracy at {last} labels, % | balanced, % | mean over the labels, % "
            "| gain over random, points | labels for random, ratio | better / worse than random | train, s / round |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for row in summary(results, imbalance):
            compared = "gain" in row
            lines.append(
                f"| {literal(row['configuration'])} | {row['runs']} | {_percent(row['final'])} "
                f"| {_percent(row['even'])} "
                f"| {_percent(row['area'])} | {_percent(row['gain'], '+') if compared else ''} "
                f"| {_times(row['ratio'] if _is_beyond_chance(row['gain']) else np.empty(0)) if compared else ''} "
                f"| {_tests(row) if compared else ''} | {row['train_s']:.1f} |"
            )
        lines.append("")
    wins = win_matrix([results.setting(imbalance) for imbalance in results.imbalances])
    if wins.points:
        lines += [
            f"Wins, row against column: the share of the points that two configurations have in common (numbers of "
            f"labels times imbalance ratios, up to {wins.points}) at which the row is better with a paired p < 0.05, "
            "not adjusted.",
            "",
            "| | " + " | ".join(map(literal, wins.configurations)) + " |",
            "|---" * (len(wins.configurations) + 1) + "|",
        ]
        for name, row in zip(wins.configurations, wins.matrix, strict=True):
            cells = ["" if np.isnan(value) else f"{value:.2f}" for value in row]
            lines.append(f"| {literal(name)} | " + " | ".join(cells) + " |")
        lines.append("")
    lines.append(
        "Means with 95 % intervals (Student's t over runs). Labels for random, ratio: how many labels random needs for "
        "the same accuracy, as a multiple of the configuration's own labels, from the mean curves of the runs that "
        "both have; median over the points where it is known. It is given where the gain is beyond chance (its "
        "interval leaves out 0). It is not known above the accuracy that random reaches, so the best configurations "
        "save more labels than this ratio shows. Better / worse than random: paired tests, "
        "one per number of labels (including the first, before any image was chosen), adjusted by Holm for the stated "
        "number of tests of one configuration; among many configurations, some are better by chance."
    )
    return "\n".join(lines) + "\n"


def csv_bytes(columns: dict[str, list[Any]]) -> bytes:
    """Columns as CSV that a spreadsheet does not take for formulas."""
    import pyarrow as pa
    import pyarrow.csv as pacsv

    out = pa.BufferOutputStream()
    pacsv.write_csv(pa.table({name: spreadsheet_row(cells) for name, cells in columns.items()}), out)
    return bytes(out.getvalue().to_pybytes())


def parts(results: Results) -> dict[str, tuple[str, Callable[[], bytes]]]:
    """The files of a report by name: what kind each is, and how to make it."""

    def parquet(columns: dict[str, list[Any]]) -> bytes:
        import pyarrow as pa
        import pyarrow.parquet as pq

        out = pa.BufferOutputStream()
        pq.write_table(pa.table(columns), out)
        return bytes(out.getvalue().to_pybytes())

    kind = "application/vnd.apache.parquet"
    return {
        "report.md": ("text/markdown", lambda: markdown(results).encode()),
        "points.csv": ("text/csv", lambda: csv_bytes(points(results))),
        "points.parquet": (kind, lambda: parquet(points(results))),
        "rounds.parquet": (kind, lambda: parquet(rounds_table(results))),
    }


def write(results: Results, folder: Path) -> list[Path]:
    """``report.md``, ``points.csv``, ``points.parquet`` and ``rounds.parquet`` in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (_, build) in parts(results).items():
        (folder / name).write_bytes(build())
    return [folder / name for name in parts(results)]


def _at(values: Any, position: int) -> tuple[float, float]:
    """Mean and half width at one point."""
    return float(values.mean[position]), float(values.high[position] - values.mean[position])


def _percent(value: tuple[float, float], sign: str = "") -> str:
    mean, half = (100 * part for part in value)
    if np.isnan(mean):
        return "-"
    return f"{mean:{sign}.1f}" if np.isnan(half) else f"{mean:{sign}.1f} ± {half:.1f}"


def _is_beyond_chance(gain: tuple[float, float]) -> bool:
    """Whether an interval (mean, half width) leaves out 0; never after one run, which has no interval."""
    mean, half = gain
    return abs(mean) > half


def _times(ratio: Any) -> str:
    known = ratio[~np.isnan(ratio)]
    return f"{np.median(known):.2f} ({len(known)} points)" if len(known) else "-"


def _tests(row: dict[str, Any]) -> str:
    return f"{row['better']} / {row['worse']} of {row['comparisons']}" if row["comparisons"] else "-"


def _machine(results: Results) -> str:
    descriptions = []
    for machine in results.machines:
        versions = ", ".join(f"{name} {number}" for name, number in (machine["versions"] or {}).items())
        descriptions.append(f"{machine['hardware']}, {machine['cores']} cores, on {machine['device']}; {versions}.")
    if not descriptions:
        return "No runs yet."
    where = (
        f"Machine: {descriptions[0]}"
        if len(descriptions) == 1
        else "Run on more than one machine: " + " ".join(descriptions)
    )
    if len(results.codes) > 1:
        where += (
            f" The runs were made by {len(results.codes)} versions of the program, so what is compared may differ by "
            "more than its name: run all of it again under another name to be sure."
        )
    return where
