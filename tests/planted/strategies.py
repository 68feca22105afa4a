"""Faults of ``strategies``: choosing the images that are asked."""

from tests.planted.fault import Fault, in_module

FAULTS: list[Fault] = [
    *in_module(
        "strategies/vaal.py",
        "engine/test_vaal.py",
        ("what is most like the labelled", 'query_end = "lowest"', 'query_end = "highest"'),
    ),
    *in_module(
        "strategies/learning_loss.py",
        "strategies/test_batches.py",
        ("the lowest predicted loss", 'query_end = "highest"', 'query_end = "lowest"'),
    ),
    *in_module(
        "strategies/base.py",
        "strategies/test_contract.py strategies/test_batches.py",
        (
            "ties in the order of the pool",
            "shuffled = rng.permutation(len(urgency))",
            "shuffled = np.arange(len(urgency))",
        ),
        ("the least urgent first", "np.argsort(-urgency[shuffled]", "np.argsort(urgency[shuffled]"),
        ("rows not checked", "len(np.unique(rows)) != n or", ""),
        ("a diverged network asks", "if not_numbers.any():", "if False:"),
    ),
    *in_module(
        "strategies/margin.py",
        "strategies/test_contract.py",
        ("the highest margin asked", "return margin(pool.log_p)", "return -margin(pool.log_p)"),
    ),
    *in_module(
        "strategies/tidal_margin.py",
        "strategies/test_contract.py",
        ("M-bar of the final prediction", "td_margin(pool.log_p, td_of(pool))", "td_margin(pool.log_p, pool.log_p)"),
    ),
    *in_module(
        "strategies/tidal_entropy.py",
        "strategies/test_contract.py",
        ("H-bar of the final prediction", "td_entropy(td_of(pool))", "td_entropy(pool.log_p)"),
    ),
    *in_module(
        "strategies/exact_margin.py",
        "strategies/test_contract.py",
        ("the exact margin of the module", "exact_of(pool)", "td_of(pool) if False else pool.log_p"),
    ),
    *in_module(
        "strategies/badge.py",
        "strategies/test_batches.py",
        ("the gradient of another class", "p.argmax(axis=1)] -= 1", "p.argmin(axis=1)] -= 1"),
        ("probabilities for their gradient", "p.argmax(axis=1)] -= 1", "p.argmax(axis=1)] -= 0"),
    ),
    *in_module(
        "strategies/cal.py",
        "strategies/test_batches.py",
        ("the divergence turned round", "minus_entropy - (mean_q", "minus_entropy + (mean_q"),
        (
            "the farthest neighbour",
            "neighbours(pool.features, pool.labelled_features, k)",
            "neighbours(-pool.features, pool.labelled_features, k)",
        ),
    ),
    *in_module(
        "strategies/diversity.py",
        "strategies/test_batches.py",
        ("BADGE's plus for minus", "lengths - 2 * (left @ left[row])", "lengths + 2 * (left @ left[row])"),
        (
            "drawn by the distance, not its square",
            "np.cumsum(weights[rows], dtype=np.float64)",
            "np.cumsum(np.sqrt(weights[rows]), dtype=np.float64)",
        ),
        (
            "labelled images are no centres",
            "to_nearest = nearest(points, centres)",
            "to_nearest = nearest(points, centres[:0])",
        ),
        ("a chosen one again", "to_nearest[chosen[: i + 1]] = -1", "to_nearest[chosen[i]] = 0"),
        ("the distance to the last alone", "np.minimum(to_nearest, distance, out=to_nearest)", "to_nearest = distance"),
    ),
    *in_module(
        "strategies/distances.py",
        "strategies/test_batches.py",
        ("the cross term halved", "squared *= -2", "squared *= -1"),
        ("an image its own neighbour", "squared[rows, block.start + rows] = np.inf", "pass"),
        (
            "means of squares",
            "np.sqrt(np.partition(squared, k - 1, axis=1)[:, :k])",
            "np.partition(squared, k - 1, axis=1)[:, :k]",
        ),
    ),
    *in_module(
        "strategies/herding.py",
        "strategies/test_herding.py",
        (
            "the kernel of the distance",
            "np.exp(squared / -(sigma**2), out=kernel[rows])",
            "np.exp(np.sqrt(squared) / -(sigma**2), out=kernel[rows])",
        ),
        ("weights ignored", "weights[target_rows].astype(np.float32)", "np.ones(len(target_rows), np.float32)"),
        (
            "labelled images stand for nobody",
            "if len(chosen_before):",
            "if False:",
        ),
        ("numbers of before are kept", "if known_at < len(chosen):", "if known_at < len(chosen) - 1:"),
        ("equal images decide the width", "squared[squared > _ROUNDING]", "squared[squared >= 0]"),
        (
            "as wide as labels are apart",
            "return NARROWER * smallest_distance(pool, rng)",
            "return smallest_distance(pool, rng)",
        ),
    ),
    *in_module(
        "strategies/td_herding.py",
        "strategies/test_herding.py",
        ("the settled weigh most", "unsettled(td_of(pool))", "1 - unsettled(td_of(pool))"),
    ),
    *in_module(
        "strategies/uherding.py",
        "strategies/test_herding.py",
        ("no temperature", "scaled(pool.log_p, temperature(pool))", "scaled(pool.log_p, 1.0)"),
    ),
    *in_module(
        "strategies/exact_herding.py",
        "strategies/test_herding.py",
        ("the settled weigh most, exactly", "unsettled(exact_of(pool))", "1 - unsettled(exact_of(pool))"),
    ),
    *in_module(
        "strategies/bait.py",
        "strategies/test_low_budget.py",
        ("nothing is given back", "min(2 * n, len(points))", "n"),
        ("labels tell nothing", "np.eye(points.shape[1]) + all_labelled", "np.eye(points.shape[1]) + 0 * all_labelled"),
    ),
    *in_module(
        "strategies/dcom.py",
        "strategies/test_low_budget.py",
        ("what is covered counts on", "degree -= near[new].sum(axis=0, dtype=np.int64)", "pass"),
        ("coverage alone", "c * u + (1 - c) * degree / largest", "degree / largest"),
    ),
    *in_module(
        "strategies/dropquery.py",
        "strategies/test_low_budget.py",
        ("half of the features kept", "drawn[0] & drawn[1]", "drawn[0]"),
        ("always the strict rule", "len(candidates) < ENOUGH * n", "len(candidates) < 0"),
    ),
    *in_module(
        "strategies/alfamix.py",
        "strategies/test_low_budget.py",
        (
            "the nearest anchor decides",
            "squared_distances(z, of_classes).max(axis=1)",
            "squared_distances(z, of_classes).min(axis=1)",
        ),
    ),
    *in_module(
        "strategies/tcm.py",
        "strategies/test_low_budget.py",
        ("margin first", "(TypiClust() if few else Margin())", "(Margin() if few else TypiClust())"),
    ),
    *in_module(
        "strategies/prob_cover.py",
        "strategies/test_batches.py",
        ("the radius one rank short", "[len(probed) // MIXED])", "[max(0, len(probed) // MIXED - 1)])"),
        (
            "what is labelled covers nothing",
            "covered = nearest(points, centres) < radius",
            "covered = np.zeros(len(points), bool)",
        ),
        ("what is covered counts on", "_count(points, points[new], radius, gain, -1)", "pass"),
    ),
    *in_module(
        "strategies/typi_clust.py",
        "strategies/test_batches.py",
        ("the least typical", "mean_distance_within(points, k).argmin()", "mean_distance_within(points, k).argmax()"),
        ("the typicality of before", "members[c] = np.delete(members[c], row)", "members[c] = members[c]"),
        ("the smallest cluster first", "-int(sizes[c]), order_drawn", "int(sizes[c]), order_drawn"),
    ),
    *in_module(
        "strategies/clusters.py",
        "strategies/test_batches.py",
        (
            "centres of the first point",
            "centres[filled] = sums / np.diff(np.append(starts, len(sample)))[:, None]",
            "centres[filled] = sample[order][starts]",
        ),
    ),
    *in_module(
        "strategies/diverse.py",
        "strategies/test_batches.py",
        ("the whole pool spread", "min(CANDIDATES * n, len(pool.ids))", "len(pool.ids)"),
    ),
]
