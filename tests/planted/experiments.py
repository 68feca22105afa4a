"""Faults of ``experiments``: comparisons and their statistics."""

from tests.planted.fault import Fault, in_module

FAULTS: list[Fault] = [
    *in_module(
        "experiments/statistics.py",
        "experiments/test_statistics.py",
        ("the variance of a population", "np.divide(squares, n - 1,", "np.divide(squares, n,"),
        (
            "a normal for Student's t",
            "stats.t.ppf((1 + level) / 2, np.maximum(n - 1, 1))",
            "stats.norm.ppf((1 + level) / 2)",
        ),
        (
            "the area not by trapezoids",
            "np.trapezoid(values, labels, axis=1) / (labels[-1] - labels[0])",
            "values.mean(axis=1)",
        ),
        ("efficiency upside down", "Efficiency(needed / own,", "Efficiency(own / needed,"),
        ("a one-sided test", "p = 2 * stats.t.sf(", "p = stats.t.sf("),
        ("Bonferroni for Holm", "min(1.0, (m - rank) * p[position])", "min(1.0, m * p[position])"),
        (
            "wins of the column",
            "(tests.p < level) & (tests.difference > 0)",
            "(tests.p < level) & (tests.difference < 0)",
        ),
        (
            "unpaired runs compared",
            "whole = both[:, :reach].all(axis=1) & (reach > 0)",
            "whole = both[:, :reach].any(axis=1) & (reach > 0)",
        ),
        ("the picked one not widened", "1 - (1 - LEVEL) / candidates", "LEVEL"),
        (
            "relative to itself",
            "np.divide(values[:runs] - base, base,",
            "np.divide(values[:runs] - base, values[:runs],",
        ),
    ),
    *in_module(
        "experiments/protocol.py",
        "experiments/test_protocol.py experiments/test_runs.py",
        (
            "one order for every configuration",
            'order=seed_of("order", configuration.name, seed, round_number)',
            'order=seed_of("order", seed, round_number)',
        ),
        (
            "weights by configuration",
            'weights=seed_of("weights", seed, round_number)',
            'weights=seed_of("weights", configuration.name, seed, round_number)',
        ),
        ("every run starts alike", 'seed_of("start", seed)', 'seed_of("start")'),
        (
            "validation images may be asked",
            "order[: protocol.validation], order[protocol.validation :]",
            "order[: protocol.validation], order",
        ),
        (
            "the head of the tail cut",
            "ratio ** -(np.arange(classes) / max(1, classes - 1))",
            "ratio ** -(np.arange(classes)[::-1] / max(1, classes - 1))",
        ),
        ("step tails end late", "(classes + 1) // 2, 1, 1 / ratio)", "classes // 2 + 2, 1, 1 / ratio)"),
        ("a plain judge with its module", "companions=self.companions if asks else ())", "companions=self.companions)"),
    ),
    *in_module(
        "experiments/runs.py",
        "experiments/test_runs.py experiments/test_frozen.py",
        (
            "trained on test images",
            "TrainImages(data.pixels, rows, data.labels[rows]",
            "TrainImages(data.pixels, np.concatenate([rows, data.test_rows]), data.labels[np.concatenate([rows, data.test_rows])]",  # noqa: E501
        ),
        (
            "/plain judged by the classifier that asks",
            'judged = self._train(number, "plain"',
            'self._train(number, "plain"',
        ),
        (
            "tested on what was trained on",
            '**self._tested(judged.model, self.test, "")',
            '**self._tested(judged.model, self.trained, "")',
        ),
        (
            "asked again",
            "free = np.setdiff1d(self.start.pool, taken)",
            "free = np.setdiff1d(self.start.pool, self.start.first)",
        ),
        (
            "the audit sample trained on",
            "self.trained = np.concatenate([self.trained, asked])",
            "self.trained = np.concatenate([self.trained, asked, audited])",
        ),
        ("the delay forgotten", "batch, self.waiting = self.waiting, batch", "pass"),
        ("other settings not noticed", '"protocol": "settings",', ""),
        ("the exact window ignored", "trained.heads.first_epoch(self.run.protocol.train.td_window)", "1"),
    ),
    *in_module(
        "experiments/motivating.py",
        "experiments/test_motivating.py",
        (
            "held-out images in training order",
            "of_training, minor),\n        separability(all_estimators(test.log_p, test.td_log_p), test_minor)",
            "of_training, minor),\n        separability(all_estimators(test.log_p, test.td_log_p), np.resize(minor, len(test_minor)))",  # noqa: E501
        ),
        ("ties count whole", "rankdata(scores)[pos]", 'rankdata(scores, method="max")[pos]'),
        ("hard is low", "ESTIMATORS[name].urgency(values[name])", "values[name]"),
        (
            "the snapshot for the observed p-bar",
            "all_estimators(snapshot, log_of(training.result.td_bar))",
            "all_estimators(snapshot, snapshot)",
        ),
    ),
    *in_module(
        "experiments/datasets.py",
        "experiments/test_datasets.py experiments/test_runs.py",
        (
            "other pixels not noticed",
            "hashlib.sha256(_content(self.pixels, self.pixels.stat().st_mtime_ns).encode())",
            "hashlib.sha256()",
        ),
        (
            "the pool with the test images",
            "np.setdiff1d(np.flatnonzero(labels >= 0), test)",
            "np.flatnonzero(labels >= 0)",
        ),
    ),
]
