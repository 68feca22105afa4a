"""The front door: what ``streamlit run app.py`` finds in the file."""

from pathlib import Path

from streamlit.web.server.app_discovery import discover_asgi_app

ROOT = Path(__file__).parent.parent


def test_streamlit_finds_the_app_so_that_routes_and_lifespan_are_served() -> None:
    found = discover_asgi_app(ROOT / "app.py")

    assert found.is_asgi_app
    assert found.import_string == "app:app"
