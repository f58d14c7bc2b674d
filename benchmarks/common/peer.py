"""lm-evaluation-harness on the same model and the same tokens."""

from __future__ import annotations

import io
import logging
import time
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from common.shapes import BOS, LONGEST

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from common.requests import Work
    from numpy.typing import NDArray

PACKAGE = "lm_eval"
LARGEST_BATCH = 64
"""From which `auto` starts."""


def peer_version() -> str | None:
    """Return the version of lm-evaluation-harness; None where it is not installed."""
    if find_spec(PACKAGE) is None:
        return None
    return metadata.version(PACKAGE)


class Peer:
    """Its `HFLM` around a model that is already loaded.

    Parameters
    ----------
    model : PreTrainedModel
        In evaluation mode.
    tokenizer : transformers tokenizer
        Only its size and special tokens are used.
    window : int
        Inputs of a window of a document.
    """

    def __init__(self, model: Any, tokenizer: Any, window: int) -> None:  # noqa: ANN401
        self._model = model
        self._tokenizer = tokenizer
        self._window = window
        self.searches: list[tuple[int, float]] = []
        """Batch sizes that `auto` found, and the seconds each search took."""

    def score(
        self, work: Work, batch_size: int | str, softmax: torch.dtype | None = None
    ) -> NDArray[np.float64]:
        """Return the log-likelihood in nats of each request, or of each document.

        Parameters
        ----------
        work : Work
            What is asked.
        batch_size : int or "auto"
            As `--batch_size`.
        softmax : torch.dtype, optional
            As `softmax_dtype`; its default is the dtype of the logits.
        """
        with quiet(), untouched(self._model):
            harness = self._harness(batch_size, softmax, len(work.documents) > 0)
            if work.documents:
                return self._documents(harness, work)
            found = harness._loglikelihood_tokens(  # noqa: SLF001 - what `loglikelihood` calls
                [(None, *pair) for pair in work.pairs], disable_tqdm=True
            )
        return np.array([nats for nats, _ in found])

    def _harness(
        self,
        batch_size: int | str,
        softmax: torch.dtype | None,
        is_in_windows: bool,  # noqa: FBT001 - private
    ) -> Any:  # noqa: ANN401
        from lm_eval.models.huggingface import HFLM

        harness = HFLM(
            pretrained=self._model,
            tokenizer=self._tokenizer,
            batch_size=batch_size,
            max_batch_size=LARGEST_BATCH,
            max_length=self._window if is_in_windows else LONGEST,
            softmax_dtype=softmax,
            add_bos_token=False,
            prefix_token_id=BOS,
            device=str(self._model.device),
        )
        search = harness._detect_batch_size  # noqa: SLF001 - timed on its own

        def timed_search(*arguments: object, **options: object) -> int:
            started = time.perf_counter()
            size = search(*arguments, **options)
            self.searches.append((size, time.perf_counter() - started))
            return int(size)

        harness._detect_batch_size = timed_search  # noqa: SLF001
        return harness

    def _documents(self, harness: Any, work: Work) -> NDArray[np.float64]:  # noqa: ANN401
        """Return the log-likelihood of each document; its own way, without its tokenizer."""
        from lm_eval.api.instance import Instance

        harness.tok_encode = lambda place: list(work.documents[place])
        asked = [
            Instance(request_type="loglikelihood_rolling", doc={}, arguments=(place,), idx=place)
            for place in range(len(work.documents))
        ]
        return np.array(harness.loglikelihood_rolling(asked, disable_tqdm=True))


@contextmanager
def untouched(model: Any) -> Iterator[None]:  # noqa: ANN401
    """Take what our engine changed off a model for a while, so that others see it as loaded."""
    layers = [one for one in model.modules() if type(one).__name__ == "Linear8bitLt"]
    own = {layer: layer.__dict__.pop("forward") for layer in layers if "forward" in layer.__dict__}
    attention = model.config._attn_implementation  # noqa: SLF001 - there is no other way to read it
    model.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        model.set_attn_implementation(attention)
        for layer, forward in own.items():
            layer.__dict__["forward"] = forward


@contextmanager
def quiet() -> Iterator[None]:
    """Keep its progress bars and warnings back: LLM.int8 logs one a matrix product."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    nowhere = io.StringIO()
    try:
        with warnings.catch_warnings(), redirect_stdout(nowhere), redirect_stderr(nowhere):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
