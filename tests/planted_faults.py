"""The faults that ``mutations`` plants: each is one place of one module, wrong, and the tests that guard it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing wrong: ``right`` becomes ``wrong`` where it first stands in the module."""

    what: str
    module: str  # below tidal_core
    tests: tuple[str, ...]  # files or test ids below tests that guard it
    right: str
    wrong: str


def _in(module: str, tests: str, *cases: tuple[str, str, str]) -> list[Fault]:
    """Faults of one module, each (what is wrong, right, wrong); ``tests``: paths below tests, with blanks between."""
    return [Fault(what, module, tuple(tests.split()), right, wrong) for what, right, wrong in cases]


FAULTS: list[Fault] = [
    *_in(
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
    *_in(
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
    *_in(
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
    *_in(
        "engine/companions/learning_loss.py",
        "engine/test_learning_loss.py",
        ("neighbours paired", "even - even.flip(0)", "even - even.roll(-1, 0)"),
        ("an odd batch keeps its last image", "values[: len(values) // 2 * 2]", "values[len(values) % 2 :]"),
        ("the smaller loss predicted larger", "margin - direction * paired", "margin + direction * paired"),
        ("another margin", "MARGIN = 1.0", "MARGIN = 0.5"),
        ("no hinge", "F.relu(margin - direction", "(margin - direction"),
        ("ties count the margin", "paired(predicted)) * (direction != 0)", "paired(predicted))"),
        ("ties left out of the mean", "/ max(1, len(per_pair))", "/ max(1, int((direction != 0).sum()))"),
        ("the wrong end by cross-entropy", "F.softplus(-direction", "F.softplus(direction"),
        ("the gradient never stops", "seen.epoch <= round(STOPS_AFTER * seen.epochs)", "True"),
        ("the gradient stops at once", "seen.epoch <= round(STOPS_AFTER * seen.epochs)", "False"),
        ("stopped an epoch late", "STOPS_AFTER * seen.epochs)", "STOPS_AFTER * seen.epochs) + 1"),
        ("the ranker has a hinge", "return ranking_loss(predicted, losses)", "return hinge_loss(predicted, losses)"),
    ),
    *_in(
        "engine/companions/vaal.py",
        "engine/test_vaal.py",
        ("the error summed over an image", "coded.target).square().mean()", "coded.target).square().mean(dim=0).sum()"),
        ("the KL divergence not per value", "kl.mean() / D", "kl.mean()"),
        ("the KL divergence summed over the batch", "kl.mean() / D", "kl.sum() / D"),
        ("the KL divergence of the variance", "coded.log_variance.exp() - 1", "coded.log_variance - 1"),
        ("the mean not squared", "coded.mean.square() +", "coded.mean +"),
        ("the classes of the discriminator swapped", "-log_odds if labelled", "log_odds if not labelled"),
        ("the auto-encoder on the labelled alone", "for side, told in sides:", "for side, told in sides[:1]:"),
        (
            "the auto-encoder helps the discriminator",
            "told), labelled=True)\n        return loss",
            "told), labelled=False)\n        return loss",
        ),
        (
            "the discriminator's loss reaches the auto-encoder",
            "with torch.no_grad():\n            means",
            "if True:\n            means",
        ),
        ("the discriminator takes all for labelled", "odds[1], labelled=False", "odds[1], labelled=True"),
        ("gradients of the other's loss stay", "optimizer.step()\n        self.zero_grad()", "optimizer.step()"),
        ("the raw rank", ".sigmoid().unsqueeze(1)", ".unsqueeze(1)"),
    ),
    *_in(
        "engine/companions/autoencoders.py",
        "engine/test_vaal.py",
        ("the variance for the deviation", "(0.5 * log_variance).exp()", "log_variance.exp()"),
        ("no draw of z", "mean + noise *", "mean + 0 * noise *"),
        ("the decoder is told nothing", "torch.cat([z, beside], dim=1)", "torch.cat([z, 0 * beside], dim=1)"),
    ),
    *_in(
        "engine/unlabelled.py",
        "engine/test_vaal.py",
        ("the same unlabelled images all the time", "self._position += n", "pass"),
        (
            "the same order in every epoch",
            "epoch_generator(seeds.order + APART, epoch)",
            "epoch_generator(seeds.order, 1)",
        ),
        ("images ranked in training mode", "model.backbone.eval()", "pass"),
        ("the classifier left in evaluation mode", "model.backbone.train(mode)", "pass"),
    ),
    *_in(
        "engine/checkpoints.py",
        "engine/test_vaal.py",
        (
            "optimisers of companions forgotten",
            "return {OPTIMIZER: self.optimizer, **apart}",
            "return {OPTIMIZER: self.optimizer}",
        ),
        ("a fingerprint without unlabelled rows", "images.unlabelled.tobytes())", "b'')"),
    ),
    *_in(
        "engine/model.py",
        "engine/test_vaal.py",
        ("VAAL carried over between rounds", "None if name.startswith(fresh) else", ""),
    ),
    *_in(
        "strategies/vaal.py",
        "engine/test_vaal.py",
        ("what is most like the labelled", 'query_end = "lowest"', 'query_end = "highest"'),
    ),
    *_in(
        "strategies/learning_loss.py",
        "strategies/test_batches.py",
        ("the lowest predicted loss", 'query_end = "highest"', 'query_end = "lowest"'),
    ),
    *_in(
        "method/calibration.py",
        "method/test_calibration.py",
        ("the temperature multiplies", "/ temperature, axis=1)", "* temperature, axis=1)"),
        ("bins not weighted", "float(gaps @ of_bins.n_images / of_bins.n_images.sum())", "float(gaps.mean())"),
        ("the likelihood of the largest", "labels].mean())", "_checked(log_p, labels).argmax(axis=1)].mean())"),
    ),
    *_in(
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
    *_in(
        "rounds/audit.py",
        "rounds/test_audit.py rounds/test_audit_sample.py",
        (
            "audit images trained on",
            "labels.where(~np.isin(labels.image_ids, project.store.answers.images_asked_for(Purpose.AUDIT)))",
            "labels",
        ),
        (
            "the reserve ranked",
            "np.setdiff1d(project.store.images.unlabelled_ids(), reserved(project), assume_unique=True)",
            "project.store.images.unlabelled_ids()",
        ),
        (
            "labels that came along in the sample",
            "& (drawn > layer.begin) & ~history.came_labelled",
            "& (drawn > layer.begin)",
        ),
        (
            "what was answered before counts as unseen",
            "& ~history.came_labelled & ~gone_before & can_be_asked",
            "& ~history.came_labelled & can_be_asked",
        ),
        ("a new import does not end the sample", "counts &= place < place[to_ask][is_new].min(initial=np.inf)", "pass"),
        (
            "a larger share goes on with the old sample",
            "Layer(reserved_until, share, last_seq, share)",
            "Layer(0.0, share, 0, share)",
        ),
        ("the share to a whole gap", "_place(number, exact) - _place(number - 1, exact)", "round(1 / share)"),
        (
            "an audit image forgotten once taken back",
            "Purpose.AUDIT if Purpose.AUDIT in history else history[-1]",
            "history[-1]",
        ),
    ),
    *_in(
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
    *_in(
        "engine/step.py",
        "engine/test_training.py engine/test_companions.py engine/test_class_weights.py",
        ("lambda ignored", "p_bar, self.config.td_weight, weights)", "p_bar, image_weights=weights)"),
        (
            "the module's gradient stops at the body",
            "td_logits = self.td(features) if",
            "td_logits = self.td([f.detach() for f in features]) if",
        ),
        (
            "p-bar of the module",
            "p = logits.detach().float().softmax(dim=1)",
            "p = (logits if td_logits is None else td_logits).detach().float().softmax(dim=1)",
        ),
        (
            "gradients add up",
            "self.optimizer.zero_grad()\n        self._counted = None\n        right",
            "self._counted = None\n        right",
        ),
        (
            "companions not trained",
            "loss = loss + companion.loss(seen, masks)",
            "companion.loss(seen, masks)",
        ),
        ("the rate not set", "set_rate(self.optimizer, rate)", "pass"),
        ("an undone step counted", "self.tracker.withdraw(*self._counted)", "pass"),
        (
            "weights of the wrong images",
            "self.image_weights.index_select(0, index) if",
            "self.image_weights[: len(index)] if",
        ),
    ),
    *_in(
        "engine/loop.py",
        "engine/test_training.py engine/test_loop.py engine/test_fine_tuning.py",
        ("the window begins late", "self.epochs // 2 + 1", "self.epochs // 2 + 2"),
        ("every epoch in the same order", "epoch_generator(seeds.order, number)", "epoch_generator(seeds.order, 1)"),
        (
            "the same augmentation in every epoch",
            "epoch_generator(seeds.augmentation, number)",
            "epoch_generator(seeds.augmentation, 1)",
        ),
        (
            "the last batch left out",
            "self.batch < len(self.chunks) else None",
            "self.batch < max(1, len(self.chunks) - 1) else None",
        ),
        ("losses not weighed by the batch", "alpha=len(index))", "alpha=1)"),
        ("the body moves in the head's epochs", "number <= self.still_epochs", "False"),
        (
            "a batch that does not fit is left out",
            "self._halve(len(index))\n                epoch.split(self.batch_size)",
            "epoch.advance()",
        ),
        ("a loss that is no number goes on", "if not math.isfinite(loss):", "if False:"),
    ),
    *_in(
        "engine/schedule.py",
        "engine/test_training.py engine/test_fine_tuning.py engine/test_class_weights.py",
        ("no more epochs for few images", "max(config.epochs, math.ceil(config.min_steps / batches))", "config.epochs"),
        ("the step schedule drops early", "epoch > milestone", "epoch >= milestone"),
        ("the rate does not fall", "return peak * _half_cosine((progress - 0.3) / 0.7)", "return peak"),
    ),
    *_in(
        "engine/optimizers.py",
        "engine/test_optimizers.py engine/test_fine_tuning.py engine/test_training.py",
        ("momentum lost", "momentum=config.momentum", "momentum=0.0"),
        (
            "weight decay lost",
            "momentum=config.momentum, weight_decay=decay",
            "momentum=config.momentum, weight_decay=0.0",
        ),
        ("all layers at one rate", "rate * group.get(SCALE, 1.0)", "rate"),
        (
            "the optimiser's memory not restored",
            'optimizer.load_state_dict({"state": dict(state),',
            'optimizer.load_state_dict({"state": {},',
        ),
    ),
    *_in(
        "engine/layer_rates.py",
        "engine/test_fine_tuning.py",
        ("the pixels' end learns fastest", "decay ** (head - stage)", "decay**stage"),
    ),
    *_in(
        "engine/checkpoints.py",
        "engine/test_loop.py engine/test_training.py",
        ("visits not restored", 'tracker.visits.copy_(tensors["tracker.visits"])', "pass"),
        ("p-bar not restored", 'tracker.total.copy_(tensors["tracker.total"])', "pass"),
        ("a fingerprint without labels", "digest.update(images.labels.tobytes())", "pass"),
        ("a fingerprint without rows", "digest.update(images.rows.tobytes())", "pass"),
        (
            "a fingerprint without pixels",
            "digest.update(pixels[kept[start : start + _HASHED_AT_ONCE]].tobytes())",
            "pass",
        ),
        ("other data not noticed", 'if metadata.get("mark") != self.mark:', "if False:"),
        ("other code not noticed", "!= (FORMAT, code_version())", '!= (FORMAT, metadata.get("code"))'),
        ("one seed for all epochs", "(seed * 1_000_003 + epoch)", "(seed * 1_000_003)"),
    ),
    *_in(
        "engine/exact_dynamics.py",
        "engine/test_exact_dynamics.py",
        ("the window ignored", "inside = heads.epochs >= first_epoch", "inside = heads.epochs >= 0"),
        ("the window begins a half late", "int(self.epochs[-1]) // 2 + 1 if", "int(self.epochs[-1]) // 2 + 2 if"),
    ),
    *_in(
        "engine/class_weights.py",
        "engine/test_class_weights.py",
        (
            "rare images count less",
            "len(labels) / (len(counts) * counts[position])",
            "len(counts) * counts[position] / len(labels)",
        ),
    ),
    *_in(
        "engine/scoring.py",
        "engine/test_scoring.py",
        (
            "the module's logits for its log-probabilities",
            "log_probabilities(td_logits), features",
            "td_logits, features",
        ),
        ("the first block for all", "source.take(index, following)", "source.take(index * 0, following)"),
        ("the first stage for the features", "features[-1].float(), said", "features[0].flatten(1).float(), said"),
    ),
    *_in(
        "engine/curve_recorder.py",
        "engine/test_curve_recorder.py engine/test_training.py",
        ("the label's place has the largest", "p.gather(1, labels), top", "p.max(1, keepdim=True).values, top"),
        ("the label twice", "classes.masked_fill(again, -1)", "classes"),
    ),
    *_in(
        "engine/batches.py",
        "engine/test_batches.py engine/test_training.py",
        (
            "all mirrored or none",
            "torch.rand(B, 1, generator=generator) <",
            "torch.rand(1, 1, generator=generator).expand(B, 1) <",
        ),
        ("shifted one way only", "torch.randint(-reach, reach + 1,", "torch.randint(0, reach + 1,"),
        ("digits mirrored", '(0.5 if config.augmentation == "flip-crop" else 0.0)', "0.5"),
        (
            "what is read ahead for what is asked",
            "batch = ahead[1].result() if ahead is not None and foreseen else",
            "batch = ahead[1].result() if ahead is not None else",
        ),
        ("the deviation of the squares", "(squares / count - mean**2)", "(squares / count)"),
    ),
    *_in(
        "engine/model.py",
        "engine/test_training.py engine/test_fine_tuning.py engine/features",
        (
            "classes at their old places",
            "old[torch.from_numpy(positions[positions >= 0])].to(own.device)",
            "old[: len(new_at)].to(own.device)",
        ),
    ),
    *_in(
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
    *_in(
        "strategies/margin.py",
        "strategies/test_contract.py",
        ("the highest margin asked", "return margin(pool.log_p)", "return -margin(pool.log_p)"),
    ),
    *_in(
        "strategies/tidal_margin.py",
        "strategies/test_contract.py",
        ("M-bar of the final prediction", "td_margin(pool.log_p, td_of(pool))", "td_margin(pool.log_p, pool.log_p)"),
    ),
    *_in(
        "strategies/tidal_entropy.py",
        "strategies/test_contract.py",
        ("H-bar of the final prediction", "td_entropy(td_of(pool))", "td_entropy(pool.log_p)"),
    ),
    *_in(
        "strategies/exact_margin.py",
        "strategies/test_contract.py",
        ("the exact margin of the module", "exact_of(pool)", "td_of(pool) if False else pool.log_p"),
    ),
    *_in(
        "strategies/badge.py",
        "strategies/test_batches.py",
        ("the gradient of another class", "p.argmax(axis=1)] -= 1", "p.argmin(axis=1)] -= 1"),
        ("probabilities for their gradient", "p.argmax(axis=1)] -= 1", "p.argmax(axis=1)] -= 0"),
    ),
    *_in(
        "strategies/cal.py",
        "strategies/test_batches.py",
        ("the divergence turned round", "minus_entropy - (mean_q", "minus_entropy + (mean_q"),
        (
            "the farthest neighbour",
            "neighbours(pool.features, pool.labelled_features, k)",
            "neighbours(-pool.features, pool.labelled_features, k)",
        ),
    ),
    *_in(
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
    *_in(
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
    *_in(
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
    *_in(
        "strategies/td_herding.py",
        "strategies/test_herding.py",
        ("the settled weigh most", "unsettled(td_of(pool))", "1 - unsettled(td_of(pool))"),
    ),
    *_in(
        "strategies/uherding.py",
        "strategies/test_herding.py",
        ("no temperature", "scaled(pool.log_p, temperature(pool))", "scaled(pool.log_p, 1.0)"),
    ),
    *_in(
        "strategies/exact_herding.py",
        "strategies/test_herding.py",
        ("the settled weigh most, exactly", "unsettled(exact_of(pool))", "1 - unsettled(exact_of(pool))"),
    ),
    *_in(
        "engine/scoring.py",
        "engine/test_exact_dynamics.py",
        (
            "features as they are",
            "log_probabilities(td_logits), features[-1].float()",
            "log_probabilities(td_logits), (images[:, -1280:] if model.frozen else features[-1]).float()",
        ),
    ),
    *_in(
        "strategies/bait.py",
        "strategies/test_low_budget.py",
        ("nothing is given back", "min(2 * n, len(points))", "n"),
        ("labels tell nothing", "np.eye(points.shape[1]) + all_labelled", "np.eye(points.shape[1]) + 0 * all_labelled"),
    ),
    *_in(
        "strategies/dcom.py",
        "strategies/test_low_budget.py",
        ("what is covered counts on", "degree -= near[new].sum(axis=0, dtype=np.int64)", "pass"),
        ("coverage alone", "c * u + (1 - c) * degree / largest", "degree / largest"),
    ),
    *_in(
        "strategies/dropquery.py",
        "strategies/test_low_budget.py",
        ("half of the features kept", "drawn[0] & drawn[1]", "drawn[0]"),
        ("always the strict rule", "len(candidates) < ENOUGH * n", "len(candidates) < 0"),
    ),
    *_in(
        "strategies/alfamix.py",
        "strategies/test_low_budget.py",
        (
            "the nearest anchor decides",
            "squared_distances(z, of_classes).max(axis=1)",
            "squared_distances(z, of_classes).min(axis=1)",
        ),
    ),
    *_in(
        "strategies/tcm.py",
        "strategies/test_low_budget.py",
        ("margin first", "(TypiClust() if few else Margin())", "(Margin() if few else TypiClust())"),
    ),
    *_in(
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
    *_in(
        "strategies/typi_clust.py",
        "strategies/test_batches.py",
        ("the least typical", "mean_distance_within(points, k).argmin()", "mean_distance_within(points, k).argmax()"),
        ("the typicality of before", "members[c] = np.delete(members[c], row)", "members[c] = members[c]"),
        ("the smallest cluster first", "-int(sizes[c]), order_drawn", "int(sizes[c]), order_drawn"),
    ),
    *_in(
        "strategies/clusters.py",
        "strategies/test_batches.py",
        (
            "centres of the first point",
            "centres[filled] = sums / np.diff(np.append(starts, len(sample)))[:, None]",
            "centres[filled] = sample[order][starts]",
        ),
    ),
    *_in(
        "strategies/diverse.py",
        "strategies/test_batches.py",
        ("the whole pool spread", "min(CANDIDATES * n, len(pool.ids))", "len(pool.ids)"),
    ),
    *_in(
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
    *_in(
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
    *_in(
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
    *_in(
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
    *_in(
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
    *_in(
        "store/answers.py",
        "store/test_answers.py labelling/test_desk.py labelling/test_bulk.py rounds/test_audit.py",
        ("an id used again is stored again", "if before is not None:", "if False:"),
        ("other content under an id accepted", "if _answer(before[1:]) in (answer, sent):", "if True:"),
        (
            "an answered image stays in the queue",
            'cursor.execute("DELETE FROM queue WHERE image_id = ?", [answer.image_id])',
            "pass",
        ),
        (
            "labels of test images trained on",
            "WHERE i.split = 'pool' AND i.status <> 'excluded' AND c.retired_at IS NULL",
            "WHERE i.status <> 'excluded' AND c.retired_at IS NULL",
        ),
        (
            "labels of retired classes trained on",
            "WHERE i.split = 'pool' AND i.status <> 'excluded' AND c.retired_at IS NULL",
            "WHERE i.split = 'pool' AND i.status <> 'excluded'",
        ),
        (
            "labels of excluded images trained on",
            "WHERE i.split = 'pool' AND i.status <> 'excluded' AND c.retired_at IS NULL",
            "WHERE i.split = 'pool' AND c.retired_at IS NULL",
        ),
        (
            "an undo of another image",
            "if row is None or row[0] != answer.image_id or row[1] in _OF_ACTS:",
            "if row is None or row[1] in _OF_ACTS:",
        ),
        (
            "an undo keeps the purpose it was sent with",
            "return replace(answer, purpose=Purpose(row[0]) if row and row[0] else None)",
            "return answer",
        ),
        (
            "what was undone was never audited",
            "WHERE purpose = ? AND kind <> 'undo' ORDER BY image_id",
            "WHERE purpose = ? AND kind <> 'undo' AND image_id IN (SELECT image_id FROM current_answers) ORDER BY image_id",  # noqa: E501
        ),
        (
            "hidden images are left",
            "left, hidden = unanswered[True, True], unanswered[True, False]",
            "left, hidden = unanswered[True, True] + unanswered[True, False], 0",
        ),
    ),
    *_in(
        "store/queue.py",
        "labelling/test_desk.py store/test_database.py",
        (
            "a tab takes over a lease that runs",
            '(holder IS NULL OR lease_until < ?))\n                """,\n                [holder, now + timedelta(seconds=seconds), holder, [int(i) for i in image_ids], now]',  # noqa: E501
            '(holder IS NULL OR lease_until > ?))\n                """,\n                [holder, now + timedelta(seconds=seconds), holder, [int(i) for i in image_ids], now]',  # noqa: E501
        ),
        (
            "two tabs get one image",
            "WHERE (holder IS NULL OR holder = ? OR lease_until < ? OR lease_until > ?)",
            "WHERE (TRUE OR holder = ? OR lease_until < ? OR lease_until > ?)",
        ),
        ("a new ranking drops the leases", "for holder in {row[5] for row in held}:", "for holder in set():"),
        ("the last first", "ORDER BY position LIMIT ?", "ORDER BY position DESC LIMIT ?"),
        (
            "an undone image asked last",
            "SELECT coalesce(min(position), 0) - 1 FROM queue",
            "SELECT coalesce(max(position), 0) + 1 FROM queue",
        ),
        (
            "what is on screen given up",
            '"WHERE holder = ? AND image_id NOT IN (SELECT unnest(?::INTEGER[]))"',
            '"WHERE holder = ? AND (TRUE OR image_id NOT IN (SELECT unnest(?::INTEGER[])))"',
        ),
    ),
    *_in(
        "store/rounds.py",
        "store/test_rounds.py rounds/test_run.py",
        ("two rounds at once", "if active is not None:", "if False:"),
        ("moved from a state it has left", "if row[0] != before.value:", "if False:"),
        (
            "epochs kept that come again",
            "DELETE FROM epochs WHERE round_id = ? AND epoch > ?",
            "DELETE FROM epochs WHERE round_id = ? AND epoch > ? + 1",
        ),
        (
            "curves kept that come again",
            "DELETE FROM curves WHERE round_id = ? AND epoch > ?",
            "DELETE FROM curves WHERE round_id = ? AND epoch > ? + 1",
        ),
    ),
    *_in(
        "store/curves.py",
        "store/test_rounds.py",
        (
            "positions for class ids",
            "class_order[np.maximum(curves.class_index, 0)]",
            "np.maximum(curves.class_index, 0)",
        ),
        (
            "epochs in any order",
            "WHERE round_id = ? AND image_id = ? ORDER BY epoch",
            "WHERE round_id = ? AND image_id = ? ORDER BY -epoch",
        ),
    ),
    *_in(
        "store/scores.py",
        "store/test_rounds.py labelling/test_desk.py rounds/test_calibrated.py",
        (
            "scores added to those of before",
            'cursor.execute("DELETE FROM scores WHERE round_id = ? AND part = ?", [round_id, part])',
            "pass",
        ),
        ("a sheet shows what is answered", "AND s.image_id NOT IN (SELECT image_id FROM current_answers)", ""),
        (
            "the temperature multiplies",
            "[round_id, 1 / temperature, [int(i) for i in image_ids]]",
            "[round_id, temperature, [int(i) for i in image_ids]]",
        ),
        ("the least certain first", "ORDER BY p DESC, image_id\n", "ORDER BY p, image_id\n"),
    ),
    *_in(
        "store/views.py",
        "store/test_views.py",
        ("the bands of the next class", "pa.array(places + 1, pa.int32())", "pa.array(places, pa.int32())"),
    ),
    *_in(
        "store/predictions.py",
        "store/test_predictions.py store/test_views.py rounds/test_calibrated.py pages/test_measured.py",
        (
            "pool images among the changed counted twice",
            "now.part = 'pool' AND before.round_id = ? AND before.part = 'pool'",
            "before.round_id = ? AND before.part = 'pool'",
        ),
        ("known classes do not follow a merge", '"coalesce(k.merged_into, i.known_class)"', '"i.known_class"'),
        (
            "predictions do not follow a merge",
            '_PREDICTED = standing_class("s.predicted")',
            '_PREDICTED = "s.predicted"',
        ),
        ("audit labels among the chosen", "AND coalesce(l.purpose, '') <> 'audit'", ""),
    ),
    *_in(
        "store/classes.py",
        "store/test_classes.py",
        (
            "the merge of a merge stays",
            "for record in known if record.merged_into == class_id]",
            "for record in known if record.id == 0]",
        ),
        ("a class merged into itself", "if source.id == target.id:", "if False:"),
        ("merged into one out of use", "if not target.is_in_use:", "if False:"),
        ("a key twice", "if key and key in {record.key for record in in_use}:", "if False:"),
        ("an edit of what others changed", "if before != after:", "if False:"),
    ),
    *_in(
        "store/images.py",
        "store/test_database.py rounds/test_audit.py images/test_ingest.py",
        (
            "rows of another order",
            "return [images_by_id[i] for i in wanted if i in images_by_id]",
            "return list(images_by_id.values())",
        ),
    ),
    *_in(
        "labelling/desk.py",
        "labelling/test_desk.py labelling/test_naming.py rounds/test_audit.py",
        ("a sheet shows the audit reserve", "| set(audit.reserved(self.project).tolist())", ""),
        (
            "an undone audit image comes back as a query",
            "purpose = self._purposes([answer.image_id])[answer.image_id]",
            "purpose = Purpose.QUERY",
        ),
        ("an undone sweep floods the queue", "and answer.mode is not AnswerMode.SWEEP", ""),
        (
            "an undone change asks again",
            "if asked_again and self._store.answers.current(answer.image_id) is None:",
            "if asked_again:",
        ),
        ("a closed tab keeps its sheet", "self._sheets.release(tab)\n\n    # --- answers", "pass\n\n    # --- answers"),
        ("the painted image given up", "self._store.queue.release(tab, keep=held)", "self._store.queue.release(tab)"),
        (
            "sheets of classes out of use",
            "if class_id in in_use:",
            "if class_id is not None:",
        ),
        (
            "the counts of before",
            "known = self._counts\n        if known is not None and known[0] == key:",
            "known = self._counts\n        if known is not None:",
        ),
        (
            "names hidden by the rule of before",
            "known = self._names\n        if known is not None and known[0] == key:",
            "known = self._names\n        if known is not None:",
        ),
    ),
    *_in(
        "labelling/sheets.py",
        "labelling/test_sheets.py labelling/test_desk.py",
        (
            "the same class again",
            "[class_id for class_id in by_class if class_id != after] or list(by_class)",
            "list(by_class)",
        ),
        ("leases that never end", "if holder != tab and now - spoke < silent", "if holder != tab"),
    ),
    *_in(
        "store/migrations.py",
        "store/test_consensus.py",
        (
            "settled labels are votes like others",
            "ORDER BY settled DESC, by_crowdlab DESC",
            "ORDER BY by_crowdlab DESC",
        ),
        ("the oldest wins a tie", "by_crowdlab DESC, votes DESC, seq DESC", "by_crowdlab DESC, votes DESC, seq ASC"),
        ("a skip is a vote", "CASE WHEN l.kind = 'label' AND t.retired_at IS NULL", "CASE WHEN TRUE"),
        (
            "merged classes are counted apart",
            "OVER (PARTITION BY l.image_id, t.id)",
            "OVER (PARTITION BY l.image_id, k.id)",
        ),
        (
            "everything that a person said is a vote",
            "QUALIFY row_number() OVER (PARTITION BY image_id, annotator ORDER BY seq DESC) = 1",
            "",
        ),
    ),
    *_in(
        "rounds/again.py",
        "labelling/test_leases.py",
        ("the double share is never full", "if n < settings.people_per_image", "if n <= settings.people_per_image"),
        ("what a person answered stays hidden", " - project.store.people.answered_by(annotator, waiting)", ""),
    ),
    *_in(
        "labelling/desk.py",
        "labelling/test_leases.py",
        ("one is asked again oneself", "return self._store.people.answered_by(annotator, waiting)", "return set()"),
        ("a guess of what others said", "for item in items if item.purpose is not Purpose.AGAIN", "for item in items"),
    ),
    *_in(
        "store/people.py",
        "labelling/test_people.py",
        (
            "settlements are agreement",
            """_IN_SIGHT = "('settle', 'review', 'bulk')\"""",
            """_IN_SIGHT = "('bulk', 'bulk')\"""",
        ),
        ("settled images are open", " AND NOT bool_or(settled)", ""),
    ),
]
