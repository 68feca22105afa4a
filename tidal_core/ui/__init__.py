"""The labelling component, the theme's colours and small Streamlit helpers."""
