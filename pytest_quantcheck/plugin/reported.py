"""How our errors reach the user: skipped or failed, by their message alone."""

from __future__ import annotations

import pytest

from pytest_quantcheck.errors import BackendUnavailable, QuantcheckError
from pytest_quantcheck.report.screen import inert


class reported_errors:  # noqa: N801 - a context manager, used as a verb
    """Shows our errors by their message alone: the user's code is not at fault."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, BackendUnavailable):
            raise pytest.skip.Exception(str(error), _use_item_location=True) from None
        if isinstance(error, QuantcheckError):
            notes = "\n".join(getattr(error, "__notes__", ()))
            text = f"not measured: {error}" + (f"\n{notes}" if notes else "")
            text = "\n".join(map(inert, text.split("\n")))  # ids and paths are data
            raise pytest.fail.Exception(text, pytrace=False) from None
