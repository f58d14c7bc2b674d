"""Prompts of a test's own body, whose outputs a scorer of the user's judges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.workloads.generation import Generation
from pytest_quantcheck.workloads.source import MemorySource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from pytest_quantcheck.core.fingerprint import Plain
    from pytest_quantcheck.workloads.scorers import Given
    from pytest_quantcheck.workloads.source import Row


class Scored(Generation):
    """What `quant.compare` makes.

    Parameters
    ----------
    examples : sequence of str or mapping
        Prompts, or mappings with `prompt` and anything the scorer needs; the scorer gets them
        as they are.
    name : str
        Short name, as shown in tables.
    **options
        As for `Generation`.
    """

    def __init__(
        self,
        examples: Sequence[Given],
        *,
        name: str,
        **options: Any,  # noqa: ANN401 - what Generation takes
    ) -> None:
        prompts = list(examples)
        rows: list[Mapping[str, Plain]] = [
            {"prompt": prompt} if isinstance(prompt, str) else prompt for prompt in prompts
        ]
        super().__init__(MemorySource(examples=rows), name=name, **options)
        self._prompts = prompts

    def _as_given(self, row: Row) -> Given:
        return self._prompts[row.number - 1]
