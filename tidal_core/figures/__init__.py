"""Numbers first (x_info), drawing second (x_figure): one file per page."""
