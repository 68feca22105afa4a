"""The benchmark of the pages runs; what it measures is never a reason to fail."""

from benchmarks.pages import PAGES, measure


def test_the_quick_run_measures_the_queries_of_every_page() -> None:
    found = measure(quick=True, runs=1)

    assert set(found["pages"]) == set(PAGES)
    assert found["slowest_query_ms"] == max(one["slowest_query_ms"] for one in found["pages"].values())
