"""What a backend must offer, so that tasks and handles need not know which one it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.measure.divergence import Predicting
from pytest_quantcheck.measure.latency.protocols import Serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import TypeAlias

    import numpy as np
    from numpy.typing import NDArray

    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.backends.quantized_store import QuantizedStore
    from pytest_quantcheck.measure.shared import Shared
    from pytest_quantcheck.workloads.decoding import Decoding

    Advance: TypeAlias = Callable[[int, int], None]
    """Called with the requests and the tokens finished so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """Which model, and where it runs."""

    model: str
    """Hub id, or absolute path of a folder."""
    device: str
    """`cpu` or `cuda:0`."""
    others: tuple[str, ...] = ()
    """Further GPUs, which take layers of a variant that has no room on `device`."""
    is_spread: bool = False
    """Whether a variant is loaded over all of them."""
    trust_remote_code: bool = False
    revision: str | None = None
    """Branch, tag or commit of a hub id."""
    adapter: str | None = None
    """LoRA adapter put beside the weights once they are loaded, quantized or not."""
    merges_adapter: bool = False
    """Add the adapter to the weights before anything is quantized instead."""
    quantized: QuantizedStore | None = None
    """Where quantized weights are kept between runs; None keeps none."""
    shared: Shared | None = None
    """What variants have in common; None makes it for each."""

    def of(self, variant: Variant) -> ModelSource:
        """Return where the weights of one variant are: the model's, or a checkpoint of its own."""
        if variant.checkpoint is None:
            return self
        return replace(self, model=variant.checkpoint, revision=variant.revision)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRequest:
    """A token sequence of which a tail is scored."""

    tokens: tuple[int, ...]
    first_target: int
    """Index of the first token to score, at least 1; all before it is context."""

    @property
    def inputs(self) -> tuple[int, ...]:
        """Tokens that are forwarded: all but the last, which nothing follows."""
        return self.tokens[:-1]

    @property
    def targets(self) -> tuple[int, ...]:
        """Tokens that are scored."""
        return self.tokens[self.first_target :]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What the tensors of a loaded variant say about it."""

    stored_bytes: int
    """Bytes as stored at the declared precision, whatever the compute dtype."""
    quantized_fraction: float
    """Share of the parameters of 2-D and 3-D weights outside embeddings and head."""
    left: tuple[tuple[str, int], ...]
    """(name, parameters) of those not quantized, largest first."""
    digests: tuple[tuple[str, str], ...]
    """(name, digest of dequantized values) for each of those weights, sorted by name."""
    method: str = ""
    """How they were quantized, where only the checkpoint says it."""
    revision: str | None = None
    """Commit of a hub's checkpoint, or digest of a folder's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """What a variant wrote after one prompt."""

    tokens: tuple[int, ...]
    """Without the end-of-sequence token, up to the one that completed a stop string."""
    text: str
    """Without special tokens, cut before the stop string."""
    is_truncated: bool
    """Whether the longest length cut it: neither end-of-sequence token nor stop string came."""


class RequestError(MeasurementError):
    """What came of one request cannot be used.

    Parameters
    ----------
    message : str
        What was found and what to do, without the example: the caller knows it.
    request : int
        Index of the request or prompt.
    is_configuration : bool
        Whether it was to be expected of this variant: the choice of it is wrong.
    """

    def __init__(self, message: str, *, request: int, is_configuration: bool = False) -> None:
        super().__init__(message)
        self.request = request
        self.is_configuration = is_configuration


class NonFiniteLogitsError(RequestError):
    """The logits behind one request are NaN or infinite."""


class LoadedModel(Serving, Predicting, Protocol):
    """A variant in memory."""

    pack_limit: int | None
    """Most sequences forwarded together; None where memory sets none. Where memory runs out, the
    pass starts again with half as many, and this says so."""

    @property
    def device(self) -> str:
        """Device as torch names it."""
        ...

    @property
    def compute_dtype(self) -> str:
        """`float16`, `bfloat16` or `float32`."""
        ...

    @property
    def plan(self) -> str:
        """How sequences are forwarded to be scored; empty before the first ones."""
        ...

    @property
    def generation_plan(self) -> str:
        """How outputs are generated; empty where none are."""
        ...

    @property
    def context_tokens(self) -> int:
        """Longest sequence the model takes."""
        ...

    @property
    def weights(self) -> Weights:
        """Read from the tensors on the device."""
        ...

    @property
    def tokenizer(self) -> object:
        """Whatever tokenizer the backend uses."""
        ...

    @property
    def model(self) -> object:
        """Whatever model object the backend uses."""
        ...

    @property
    def prefix_token(self) -> int:
        """Token that stands before a document: BOS, or EOS where there is none."""
        ...

    def read_ahead(self, texts: Iterable[str]) -> None:
        """Prepare for texts that `encode` will be asked for, if that is faster for all together."""

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Return the token ids; with `special`, exactly one BOS where the tokenizer adds one."""
        ...

    def render_chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        options: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a conversation as the model's own chat template writes it.

        The text ends where the assistant's turn begins; `encode(text, special=True)` gives it
        exactly one BOS. `options` are what else the template takes.

        Raises
        ------
        UsageError
            There is no chat template, or it has no place for system turn, tools or an option.
        MeasurementError
            The template refuses the conversation.
        """
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text without special tokens."""
        ...

    def score(
        self, requests: Sequence[ScoreRequest], *, advance: Advance | None = None
    ) -> list[NDArray[np.float32]]:
        """Return the log-likelihood in nats of each scored token, per request.

        Raises
        ------
        NonFiniteLogitsError
            The logits behind a request are NaN or infinite.
        """
        ...

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        decoding: Decoding,
        *,
        streams: Sequence[int] = (),
        advance: Advance | None = None,
    ) -> list[Continuation]:
        """Return the continuation of each prompt.

        Parameters
        ----------
        prompts : sequence of sequence of int
            Tokens.
        decoding : Decoding
            How they are continued.
        streams : sequence of int, optional
            For each prompt, which random numbers it is sampled with; see `Decoding.stream`.
        advance : callable, optional
            Told of every batch.

        Raises
        ------
        NonFiniteLogitsError
            The logits behind a prompt are NaN or infinite.
        """
        ...

    def close(self) -> None:
        """Free the memory for real; using the model afterwards is an error."""
        ...


class LoadedClassifier(LoadedModel, Protocol):
    """A variant in memory that chooses one of its own labels."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels."""
        ...

    def classify(
        self, sequences: Sequence[Sequence[int]], *, advance: Advance | None = None
    ) -> NDArray[np.float64]:
        """Return the log-probability in nats of each label, (n, k).

        Raises
        ------
        NonFiniteLogitsError
            The logits behind a sequence are NaN or infinite.
        """
        ...


class Backend(Protocol):
    """Loads variants of one kind."""

    def load(self, variant: Variant, source: ModelSource) -> LoadedModel:
        """Return the variant in memory.

        Raises
        ------
        BackendUnavailable
            A package or device is missing.
        UsageError
            The model cannot be loaded as asked.
        """
        ...

    def estimate_bytes(self, variant: Variant, source: ModelSource) -> int:
        """Return about how many bytes the loaded variant takes, without loading it."""
        ...
