"""One browser for all tests of this folder, where one is installed."""

import pytest


@pytest.fixture(scope="session")
def chromium():
    """Return a browser; without one these tests are skipped."""
    from chromium import browser, found_browser

    if found_browser() is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with browser() as opened:
        yield opened


@pytest.fixture(scope="session")
def page_of(tmp_path_factory):
    """Write the page of a run, and return its path."""
    from pytest_quantcheck.report.html.page import render_html

    folder = tmp_path_factory.mktemp("pages")

    def write(name, run, examples):
        path = folder / f"{name}.html"
        path.write_text(render_html(run, examples), encoding="utf-8")
        return path

    return write
