"""The temperature that a round's probabilities are shown with: fitted on images that the round did not train on.

A model that says 90 % and is right in 70 % of the cases misleads whoever reads it. What is shown as a probability is
therefore divided by the temperature that fits (``method.calibration``), where enough images judge it that were not
chosen: test images, images of known class, or the audit sample. Nothing that is stored or ranked changes by it.
"""

from __future__ import annotations

import numpy as np

from tidal_core.method.calibration import fitted_temperature
from tidal_core.method.estimators import log_of
from tidal_core.method.stopping import dense, merged
from tidal_core.projects import Project
from tidal_core.records import class_positions

FIT_FROM = 50  # images: with fewer a temperature says more of chance than of the model
FIT_AT_MOST = 2_000  # more change its second digit, and take time while somebody labels
UNBIASED = ("test", "known", "audit")


def temperature_of(project: Project, round_id: int) -> float:
    """What the round's probabilities are to be softened (above 1) or sharpened by; 1 where too few images judge it."""
    order = project.store.rounds.get(round_id).class_ids
    columns = class_positions(np.array(project.store.classes.standing(order)), order)
    for part in UNBIASED:
        p, class_ids, truth = project.store.predictions.held_out(round_id, part, FIT_AT_MOST)
        positions = class_positions(truth, order)
        known = positions >= 0
        if int(known.sum()) >= FIT_FROM:
            rows = merged(dense(p, class_ids, order), columns)[known]
            return fitted_temperature(log_of(rows).astype(np.float64), positions[known])
    return 1.0
