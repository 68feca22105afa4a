"""Whether two projects hold the same."""

from __future__ import annotations

from tidal_core.projects import Project
from tidal_core.store import Store

TABLES = (
    *(
        "images",
        "classes",
        "answers",
        "queue",
        "rounds",
        "round_images",
        "epochs",
        "curves",
        "scores",
        "fold_predictions",
        "metrics",
        "log",
        "shared_images",
        "crowdlab_labels",
    ),
    *("migrations", "current_labels", "consensus"),
)


def contents(store: Store, tables: tuple[str, ...] = TABLES) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table; the settings without the id that a copy must not share."""
    found = {name: store.database.rows(f"SELECT * FROM {name} ORDER BY ALL") for name in tables}
    return found | {"settings": store.database.rows("SELECT * FROM settings WHERE key <> 'project_id' ORDER BY ALL")}


def everything(project: Project) -> dict[str, object]:
    """Tables, the squares that are in use, and the weights."""
    rows = project.store.images.next_pixel_row()
    weights = {path.name: path.read_bytes() for path in project.checkpoints.iterdir()}
    import numpy as np

    return {**contents(project.store), "squares": np.load(project.pixels)[:rows].tobytes(), "weights": weights}
