"""Theory: why the path of training tells more than its end, in three short chapters."""

from __future__ import annotations

import streamlit as st

from tidal_core.ui import motivating_view, theory_view

st.title("Theory")
st.caption(
    "Why this studio asks by training dynamics: two theorems and an experiment of Kye et al., TiDAL, ICCV 2023 "
    "(arXiv 2210.06788), to play with."
)
theory_view.easy_ones_rise_faster()
theory_view.the_path_tells_more_than_the_end()
motivating_view.does_it_hold_for_real_images()
st.divider()
st.markdown("The same for your images: the data map shows which of them were learnt early, late, or not at all.")
st.page_link("pages/dynamics.py", label="Open the data map", icon=":material/show_chart:", query_params={"view": "map"})
