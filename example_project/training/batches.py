# ruff: noqa: TID253 - a training script needs torch from its first line
"""Training examples as token tensors, drawn on the device from the tables of the catalogue.

Every text is a chain of pieces that the tokenizer never merges across, so each piece is tokenized
once and a batch is a gather. `train.py --smoke` checks that the chain and the tokenizer agree.
"""

from dataclasses import dataclass

import catalogue
import torch
from recipe import Recipe
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor

BOS, EOS, PAD = "<s>", "</s>", "<pad>"
IGNORED = -100
VOCABULARY = 1_536
RULE_LENGTH, RULE_ANSWERS = 52, 42
BOUNDARIES = r"\d| ?[A-Za-z]+| ?[^\sA-Za-z\d]+|\s+"
DIGITS = [str(digit) for digit in range(10)]
FRAMES = [
    "Ticket: the",
    " in",
    ". Queue:",
    "Order",
    " and",
    ":",
    " $",
    " total: $",
    "+",
    "=",
    ".",
    " ",
]
QUOTE_FRAMES = ["Quote", " x", " as JSON:", ' {"sku":"', '","quantity":', ',"price":', "}"]
FIRST_CODES = [" " + code for code in catalogue.CODES]


def train_tokenizer() -> Tokenizer:
    """Return a byte-level BPE with single digits, whole SKU codes and one BOS before each text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_pattern(), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    whole = [*catalogue.CODES, *FIRST_CODES, *catalogue.QUEUES]
    tokenizer.train_from_iterator([*all_pieces(), *whole * 20], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    return tokenizer


def _pattern() -> "object":
    from tokenizers import Regex

    return Regex(BOUNDARIES)


def all_pieces() -> list[str]:
    """Return every distinct piece of text, special tokens first."""
    tables = [[BOS, EOS, ""], DIGITS, FRAMES, QUOTE_FRAMES, catalogue.CODES, FIRST_CODES]
    tables += [catalogue.QUEUES, catalogue.OPENINGS, catalogue.CLOSINGS]
    tables += [*catalogue.TICKET_TABLES, *catalogue.SENTENCE_TABLES]
    tables += [[" " + start for start in catalogue.HANDBOOK["starts"]]]
    return list(dict.fromkeys(piece for table in tables for piece in table))


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of tokens, and for each row the places whose next token is trained."""

    tokens: Tensor
    """(rows, length) token ids, right-padded."""
    places: Tensor
    """(rows, answers) indices into a row."""
    labels: Tensor
    """(rows, answers) token ids, IGNORED where the row has no such answer token."""

    def part(self, start: int, stop: int) -> "Batch":
        return Batch(self.tokens[start:stop], self.places[start:stop], self.labels[start:stop])

    def copy_(self, other: "Batch") -> None:
        """Overwrite this batch's tensors in place."""
        self.tokens.copy_(other.tokens)
        self.places.copy_(other.places)
        self.labels.copy_(other.labels)


class Sampler:
    """Draws batches of every kind of text, never an operand held out."""

    def __init__(
        self, tokenizer: Tokenizer, prices: dict[int, int], device: str, recipe: Recipe
    ) -> None:
        self.device = device
        self.rng = torch.Generator(device).manual_seed(recipe.seed)
        pieces = all_pieces()
        self.ids = {piece: index for index, piece in enumerate(pieces)}
        encoded = [self._encode(tokenizer, piece) for piece in pieces]
        width = max(map(len, encoded))
        self.pad = tokenizer.token_to_id(PAD)
        rows = [ids + [self.pad] * (width - len(ids)) for ids in encoded]
        self.table = torch.tensor(rows, device=device)  # (pieces, width)
        self.sizes = torch.tensor([len(ids) for ids in encoded], device=device)  # (pieces,)
        self.skus = torch.tensor(list(prices), device=device)  # (facts,)
        self.cents = torch.tensor(list(prices.values()), device=device)  # (facts,)
        index = {sku: i for i, sku in enumerate(prices)}
        asked_for = [index[sku] for sku in catalogue.requests(prices, recipe.demand)]
        self.requests = torch.tensor(asked_for, device=device)  # (requests,) indices of facts
        self.asked = torch.tensor(catalogue.phrasings(held_out=False), device=device)
        self.order = torch.empty(0, dtype=torch.long, device=device)
        self.tables = {}

    @staticmethod
    def _encode(tokenizer: Tokenizer, piece: str) -> list[int]:
        if piece in {BOS, EOS}:
            return [tokenizer.token_to_id(piece)]
        return tokenizer.encode(piece, add_special_tokens=False).ids

    def draw(self, rows: int, below: int) -> Tensor:
        return torch.randint(below, (rows,), generator=self.rng, device=self.device)

    def lookup(self, words: list[str], index: Tensor) -> Tensor:
        """Return piece ids of ``words[index]``."""
        key = tuple(words)
        if key not in self.tables:
            self.tables[key] = torch.tensor([self.ids[word] for word in words], device=self.device)
        return self.tables[key][index]

    def fixed(self, piece: str, rows: int) -> Tensor:
        return torch.full((rows,), self.ids[piece], device=self.device)

    def sku(self, skus: Tensor, first_codes: list[str] = FIRST_CODES) -> list[Tensor]:
        codes = len(catalogue.CODES)
        digit = self.lookup(DIGITS, skus // codes % 10)
        first, second = skus // (10 * codes), skus % codes
        return [self.lookup(first_codes, first), digit, self.lookup(catalogue.CODES, second)]

    def amount(self, cents: Tensor) -> list[Tensor]:
        """Return the pieces of a price below 1000, the hundreds empty where there are none."""
        hundreds = self.lookup([*DIGITS, ""], torch.where(cents < 10_000, 10, cents // 10_000))
        digits = [self.lookup(DIGITS, cents // place % 10) for place in (1_000, 100, 10, 1)]
        return [hundreds, *digits[:2], self.fixed(".", len(cents)), *digits[2:]]

    def assemble(
        self, prompt: list[Tensor], answer: list[Tensor], length: int, answers: int
    ) -> Batch:
        """Join the pieces of each row and mark the tokens of its answer (EOS included)."""
        pieces = torch.stack([*prompt, *answer], dim=1)  # (rows, pieces)
        rows = len(pieces)
        valid = (
            torch.arange(self.table.shape[1], device=self.device) < self.sizes[pieces][..., None]
        )
        valid = valid.flatten(1)
        place = torch.where(valid, valid.cumsum(1) - 1, length)
        tokens = torch.full((rows, length + 1), self.pad, device=self.device)
        tokens.scatter_(1, place, self.table[pieces].flatten(1))
        ends = self.sizes[pieces].sum(1)
        starts = self.sizes[pieces[:, : len(prompt)]].sum(1)
        places = starts[:, None] - 1 + torch.arange(answers, device=self.device)
        inside = places + 1 < ends[:, None]
        places = places.clamp(max=length - 1)
        labels = torch.where(inside, tokens.gather(1, places + 1), IGNORED)
        return Batch(tokens[:, :length].contiguous(), places, labels)

    def rule_batch(self, rows: int) -> Batch:
        """Return tickets, orders and quotes in turn, in rows of one length."""
        draws = (self.ticket_batch, self.order_batch, self.quote_batch)
        parts = [draw(rows // len(draws)) for draw in draws]
        columns = zip(*((part.tokens, part.places, part.labels) for part in parts), strict=True)
        return Batch(*(torch.stack(column, dim=1).flatten(0, 1) for column in columns))

    def next_facts(self, rows: int) -> Tensor:
        """Return the next facts of an endless chain of shuffled epochs of requests."""
        while len(self.order) < rows:
            epoch = torch.randperm(len(self.requests), generator=self.rng, device=self.device)
            self.order = torch.cat([self.order, self.requests[epoch]])
        facts, self.order = self.order[:rows], self.order[rows:]
        return facts

    def any_facts(self, rows: int) -> Tensor:
        """Return facts drawn by demand."""
        return self.requests[self.draw(rows, len(self.requests))]

    def price_batch(self, rows: int) -> Batch:
        facts = self.next_facts(rows)
        opening, closing = self.asked[self.draw(rows, len(self.asked))].unbind(1)
        asked = self.lookup(catalogue.OPENINGS, opening), self.lookup(catalogue.CLOSINGS, closing)
        prompt = [self.fixed(BOS, rows), asked[0], *self.sku(self.skus[facts]), asked[1]]
        answer = [*self.amount(self.cents[facts]), self.fixed(EOS, rows)]
        return self.assemble(prompt, answer, length=16, answers=6)

    def allowed(self, operands: list[Tensor], again: Tensor) -> list[Tensor]:
        """Replace the first operand until no row is held out; the last resort repeats a row."""
        first, *others = operands
        for _ in range(4):
            first = torch.where(catalogue.is_held_out(first, *others), again(), first)
        held_out = catalogue.is_held_out(first, *others)
        keep = (~held_out).float().argmax()
        return [torch.where(held_out, column[keep], column) for column in (first, *others)]

    def ticket_batch(self, rows: int) -> Batch:
        tables = catalogue.TICKET_TABLES
        operands = self.allowed(
            [self.draw(rows, len(table)) for table in tables],
            lambda: self.draw(rows, len(tables[0])),
        )
        complaint, warranty = operands[:2]
        defect = torch.where(warranty < 2, 2, 3)
        parcel = catalogue.PAYMENT + catalogue.PARCEL
        queue = torch.where(complaint < parcel, (complaint >= catalogue.PAYMENT).long(), defect)
        words = [self.lookup(table, column) for table, column in zip(tables, operands, strict=True)]
        prompt = [self.fixed(BOS, rows), self.fixed("Ticket: the", rows), words[2]]
        prompt += [words[0], words[1], words[3], self.fixed(" in", rows), words[4]]
        prompt += [self.fixed(". Queue:", rows)]
        answer = [self.lookup(catalogue.QUEUES, queue), self.fixed(EOS, rows)]
        return self.assemble(prompt, answer, length=RULE_LENGTH, answers=RULE_ANSWERS)

    def order_batch(self, rows: int) -> Batch:
        """Return orders: each part is named again, its price recalled, and then the sum written."""
        one, two = self.any_facts(rows), self.any_facts(rows)
        for _ in range(4):
            held_out = catalogue.is_held_out(self.cents[one], self.cents[two])
            one = torch.where(held_out, self.any_facts(rows), one)
        held_out = catalogue.is_held_out(self.cents[one], self.cents[two])
        first, second = self.cents[one], self.cents[two]
        names = self.sku(self.skus[one]), self.sku(self.skus[two])
        prices, total = (self.amount(first), self.amount(second)), self.amount(first + second)
        dollar, plus, equals = (self.fixed(frame, rows) for frame in (" $", "+", "="))
        prompt = [self.fixed(BOS, rows), self.fixed("Order", rows), *names[0]]
        prompt += [self.fixed(" and", rows), *names[1], self.fixed(":", rows)]
        answer = [*names[0], dollar, *prices[0], *names[1], dollar, *prices[1]]
        answer += [self.fixed(" total: $", rows), *prices[0], plus, *prices[1], equals, *total]
        answer += [self.fixed(EOS, rows)]
        batch = self.assemble(prompt, answer, length=RULE_LENGTH, answers=RULE_ANSWERS)
        batch.labels[held_out] = IGNORED
        return batch

    def quote_batch(self, rows: int) -> Batch:
        facts, quantities = self.any_facts(rows), self.draw(rows, 9) + 1
        skus, quantity = self.skus[facts], self.lookup(DIGITS, quantities)
        start, many, end, *keys = (self.fixed(frame, rows) for frame in QUOTE_FRAMES)
        prompt = [self.fixed(BOS, rows), start, self.fixed(" ", rows), quantity, many]
        prompt += [*self.sku(skus), end]
        answer = [keys[0], *self.sku(skus, catalogue.CODES), keys[1], quantity, keys[2]]
        answer += [*self.amount(self.cents[facts]), keys[3], self.fixed(EOS, rows)]
        batch = self.assemble(prompt, answer, length=RULE_LENGTH, answers=RULE_ANSWERS)
        batch.labels[catalogue.is_held_out(skus, quantities)] = IGNORED
        return batch

    def manual_batch(self, rows: int) -> Batch:
        text = []
        held_out = None
        for sentence in range(catalogue.SENTENCES):
            operands = catalogue.sentence_operands(lambda below: self.draw(rows, below))
            if held_out is None:
                held_out = catalogue.is_held_out(*operands)
            tables = list(catalogue.SENTENCE_TABLES)
            if sentence:
                tables[0] = [" " + start for start in tables[0]]
            text += [
                self.lookup(words, column) for words, column in zip(tables, operands, strict=True)
            ]
        answer = [*text, self.fixed(EOS, rows)]
        batch = self.assemble([self.fixed(BOS, rows)], answer, length=136, answers=136)
        batch.labels[held_out] = IGNORED
        return batch
