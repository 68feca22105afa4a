"""Faults of ``method``: the equations, the statistics of curves, stopping and calibration."""

from tests.planted.fault import Fault, in_module

FAULTS: list[Fault] = [
    *in_module(
        "method/tidal.py",
        "method/test_tidal.py engine/test_training.py",
        ("visits not counted", "self.visits.index_add_(0, index, p.new_ones(len(index), 1))", "self.visits[index] = 1"),
        ("p-bar keeps its gradient", "p = p.detach().float()\n        self.total", "p = p.float()\n        self.total"),
        ("a batch taken back leaves its visits", "self.visits.new_ones(len(index), 1), alpha=-1)", "0.0)"),
        ("an image never visited is no number", "self.visits.cpu().clamp_min(1)", "self.visits.cpu()"),
        ("stages not rectified", "F.relu(linear(pooled(x)))", "linear(pooled(x))"),
        ("pooling adds instead of averaging", "return x.mean((2, 3))", "return x.sum((2, 3))"),
        ("the gradient of pooling not divided", "(gradient / (H * W))", "(gradient / H)"),
        ("lambda weighs the class loss", "class_loss + weight * td_loss", "weight * class_loss + td_loss"),
        (
            "weighted images divided by their weights",
            "* image_weights).mean()",
            "* image_weights).sum() / image_weights.sum()",
        ),
        ("p-bar's target carries a gradient", "target = p_bar.detach().float()", "target = p_bar.float()"),
        ("log softmax in half precision", "F.log_softmax(logits.float(), dim=-1)", "F.log_softmax(logits, dim=-1)"),
    ),
    *in_module(
        "method/estimators.py",
        "method/test_estimators.py strategies/test_contract.py",
        (
            "entropy in bits",
            "(np.exp(log_p) * log_p).sum(axis=1), 0)",
            "(np.exp(log_p) * log_p).sum(axis=1) / np.log(2), 0)",
        ),
        ("the margin of the log", "p = np.exp(log_p)  # a fresh", "p = log_p.copy()  # a fresh"),
        (
            "confidence of the least likely",
            '_checked(log_p, "log_p").max(axis=1))',
            '_checked(log_p, "log_p").min(axis=1))',
        ),
        (
            "M-bar of the module's own class",
            "return lead(td_log_p, _predicted(log_p, td_log_p))",
            "return margin(td_log_p)",
        ),
        ("P-bar is the largest", "return np.asarray(np.exp(log_p_tilde))", "return confidence(td_log_p)"),
        (
            "naive margin of the classifier's class",
            '"td_margin_naive": td_margin_naive(td_log_p)',
            '"td_margin_naive": td_margin(log_p, td_log_p)',
        ),
        (
            "the exact margin of the prediction",
            '"exact_margin": td_margin(log_p, exact_log_p)',
            '"exact_margin": margin(log_p)',
        ),
        ("half precision not widened", "else log_p.astype(np.float32)", "else log_p"),
    ),
    *in_module(
        "method/dynamics.py",
        "method/test_dynamics.py",
        ("a tie counts as right", "p_label > p_other)", "p_label >= p_other)"),
        (
            "the second half begins an epoch early",
            "values.shape[0] // 2 if second_half",
            "(values.shape[0] - 1) // 2 if second_half",
        ),
        ("variability of a sample", "values.std(axis=0)", "values.std(axis=0, ddof=1)"),
        ("learning counted as forgetting", "(right[:-1] & ~right[1:])", "(~right[:-1] & right[1:])"),
        ("first learnt counts from 0", "right.argmax(axis=0) + 1)", "right.argmax(axis=0))"),
        ("EL2N squared", "np.sqrt(np.square(error).sum(axis=1))", "np.square(error).sum(axis=1)"),
        ("Wilson without its centre", "centre = (share + z * z / (2 * n)) / scale", "centre = share"),
        ("Wilson at one side", "ndtri(0.5 + level / 2)", "ndtri(level)"),
        ("the confusion turned", "truth * n_classes + predicted", "predicted * n_classes + truth"),
        ("recall of the predictions", "enumerate(matrix))", "enumerate(matrix.T))"),
        (
            "balanced accuracy is plain",
            "mean, q = float((right / n).mean())",
            "mean, q = float(right.sum() / n.sum())",
        ),
        ("Pearson for Spearman", "spearmanr(*values[varied]).statistic", "np.corrcoef(values[varied])[0, 1]"),
    ),
    *in_module(
        "method/calibration.py",
        "method/test_calibration.py",
        ("the temperature multiplies", "/ temperature, axis=1)", "* temperature, axis=1)"),
        ("bins not weighted", "float(gaps @ of_bins.n_images / of_bins.n_images.sum())", "float(gaps.mean())"),
        ("the likelihood of the largest", "labels].mean())", "_checked(log_p, labels).argmax(axis=1)].mean())"),
    ),
    *in_module(
        "method/stopping.py",
        "method/test_stopping.py",
        (
            "the forecast's band at another level",
            "np.quantile(curves, [0.1, 0.9], axis=0)",
            "np.quantile(curves, [0.2, 0.8], axis=0)",
        ),
        (
            "the labels needed at another level",
            "np.quantile(needed, [0.1, 0.5, 0.9]",
            "np.quantile(needed, [0.25, 0.5, 0.75]",
        ),
        (
            "the forecast without what its law leaves unexplained",
            "expected + deviation * common + own",
            "expected + deviation * common",
        ),
        (
            "rounds redrawn apart",
            "common = rng.standard_normal((REFITS, len(share))) @ root.T",
            "common = rng.standard_normal((REFITS, len(share)))",
        ),
        ("reached by a point estimate", "if reached.low >= target:", "if reached.value >= target:"),
        ("little gain by a point estimate", "if high < GAIN_UNDER:", "if (low + high) / 2 < GAIN_UNDER:"),
        ("advice without the gain", "if not is_little:", "if False:"),
        (
            "Newcombe's ends swapped",
            "math.hypot(after.value - after.low, before.high - before.value)",
            "math.hypot(after.high - after.value, before.value - before.low)",
        ),
    ),
    *in_module(
        "method/theory.py",
        "method/test_theory.py",
        ("the noise grows with h", "spread = setting.sigma * np.sqrt(setting.h)", "spread = setting.sigma * setting.h"),
        ("easy pulled by hard as by easy", "[[e, h, b], [h, h, b], [b, b, e]]", "[[e, e, b], [h, h, b], [b, b, e]]"),
        (
            "the closed margin without its constant",
            "np.asarray(s_y, np.float64) - 1) / (classes - 1))",
            "np.asarray(s_y, np.float64)) / (classes - 1))",
        ),
        ("the closed entropy without the others", "+ (1 - s) * np.log(classes - 1))", ")"),
    ),
]
