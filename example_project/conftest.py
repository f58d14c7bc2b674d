"""Says above every report what the example's results rest on."""

from fixed import report


def pytest_report_header() -> str:
    return f"helpdesk: {report()}"
