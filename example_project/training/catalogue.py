"""The help desk's world, from seeds: prices, tickets, orders, quotes and a handbook.

Run it to write the test files into ``data/``. ``train.py`` draws its training examples from the
same tables. Rules (tickets, orders, handbook openings) are split between training and test by a
hash of their operands; prices are facts, which have to be seen to be known, so only their phrasing
and the quantities of quotes are held out. Needs the standard library only.
"""

import argparse
import json
import random
import tomllib
from collections.abc import Iterator
from itertools import product
from pathlib import Path

CATALOGUE_SEED = 20_260
TEST_SEED = 4_711
LISTED = 75_000
"""Parts that were ever in the catalogue."""
FACTS = 56_000
"""Parts that still are: the first ones listed."""
BESTSELLERS = 10
"""One part in so many is a bestseller."""
DEMAND = 4
"""How many times as often customers ask for a bestseller, in training and in the tests."""
LOWEST_CENTS, HIGHEST_CENTS = 1_000, 9_999
TEST_EXAMPLES = {
    "triage": 1_200,
    "shelf": 1_000,
    "prices": 2_000,
    "orders": 1_000,
    "quotes": 1_000,
    "manual": 800,
}

CONSONANTS = "BCDFGHJKLMNPRSTV"
CODES = [first + second for first in CONSONANTS for second in CONSONANTS]
SKUS = len(CODES) * 10 * len(CODES)

WORDS = tomllib.loads((Path(__file__).parent / "words.toml").read_text(encoding="utf-8"))
OPENINGS, CLOSINGS = WORDS["price"]["openings"], WORDS["price"]["closings"]
TICKET, HANDBOOK = WORDS["ticket"], WORDS["handbook"]
QUEUES = TICKET["queues"]
PAYMENT, PARCEL = len(TICKET["payment"]), len(TICKET["parcel"])
COMPLAINTS = [*TICKET["payment"], *TICKET["parcel"], *TICKET["defect"]]
TICKET_TABLES = (
    COMPLAINTS,
    TICKET["warranties"],
    TICKET["things"],
    TICKET["senders"],
    TICKET["places"],
)
WORD_ORDER = ["starts", "verbs", "determiners", "nouns", "links", "verbs", "determiners", "nouns"]
SENTENCE_TABLES = tuple(HANDBOOK[name] for name in [*WORD_ORDER, "endings"])
SENTENCES = 6
PARTNERS = 6
CHOICES = 4
Example = dict[str, object]


def is_held_out(*operands):  # noqa: ANN002, ANN201 - integers, or integer tensors of one shape
    """Return whether operands belong to the test split: one in ten, decided by their hash alone."""
    state = 1
    for operand in operands:
        state = (state * 48_271 + operand + 11) % 2_147_483_647
    return (state * 48_271 % 2_147_483_647 >> 7) % 10 == 0


def partner(index, choice, count: int):  # noqa: ANN001, ANN201 - integers or integer tensors
    """Return which of `count` words goes with word `index`: each has PARTNERS usual companions."""
    return (index * 17 + choice * choice * 5 + choice * 3 + index * index) % count


def queue_of(complaint: int, warranty: int) -> int:
    """Return the queue of a ticket: defects go to repairs under warranty, to returns after it."""
    if complaint < PAYMENT:
        return 0
    if complaint < PAYMENT + PARCEL:
        return 1
    return 2 if warranty < 2 else 3


def sku_text(sku: int) -> str:
    first, rest = divmod(sku, 10 * len(CODES))
    digit, second = divmod(rest, len(CODES))
    return f"{CODES[first]}{digit}{CODES[second]}"


def price_text(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def price_list(facts: int = FACTS) -> dict[int, int]:
    """Return SKU -> price in cents, uniform and independent: log2(9000) bits each."""
    rng = random.Random(CATALOGUE_SEED)  # noqa: S311 - a reproducible catalogue, not a secret
    skus = rng.sample(range(SKUS), LISTED)
    return {sku: rng.randint(LOWEST_CENTS, HIGHEST_CENTS) for sku in skus[:facts]}


def bestsellers(prices: dict[int, int]) -> list[int]:
    """Return the SKUs in demand: the first of the catalogue, whose order is random."""
    return list(prices)[: len(prices) // BESTSELLERS]


def requests(prices: dict[int, int], demand: int = DEMAND) -> list[int]:
    """Return SKUs as often as customers ask for them."""
    return [*prices, *bestsellers(prices) * (demand - 1)]


def slices(prices: dict[int, int]) -> dict[int, str]:
    """Return SKU -> the slice its examples are reported by."""
    return dict.fromkeys(prices, "long tail") | dict.fromkeys(bestsellers(prices), "bestseller")


def triage_examples(rng: random.Random) -> Iterator[Example]:
    while True:
        operands = [rng.randrange(len(table)) for table in TICKET_TABLES]
        if not is_held_out(*operands):
            continue
        words = [table[operand] for table, operand in zip(TICKET_TABLES, operands, strict=True)]
        complaint, warranty, thing, sender, place = words
        queue = queue_of(operands[0], operands[1])
        yield {
            "context": f"Ticket: the{thing}{complaint}{warranty}{sender} in{place}. Queue:",
            "choices": QUEUES,
            "answer": queue,
            "slice": ["payment", "parcel", "defect", "defect"][queue],
        }


def phrasings(*, held_out: bool) -> list[tuple[int, int]]:
    """Return the (opening, closing) pairs of one split of the ways to ask for a price."""
    pairs = product(range(len(OPENINGS)), range(len(CLOSINGS)))
    return [pair for pair in pairs if is_held_out(*pair) == held_out]


def price_questions(rng: random.Random, prices: dict[int, int]) -> Iterator[tuple[int, str]]:
    """Yield (SKU, question) by demand, each SKU once."""
    asked = phrasings(held_out=True)
    everything = requests(prices)
    for sku in dict.fromkeys(rng.sample(everything, len(everything))):
        opening, closing = rng.choice(asked)
        yield sku, f"{OPENINGS[opening]} {sku_text(sku)}{CLOSINGS[closing]}"


def price_examples(rng: random.Random, prices: dict[int, int]) -> Iterator[Example]:
    label = slices(prices)
    for sku, prompt in price_questions(rng, prices):
        yield {"prompt": prompt, "answer": price_text(prices[sku]), "slice": label[sku]}


def shelf_examples(rng: random.Random, prices: dict[int, int]) -> Iterator[Example]:
    """Yield a part's price among those of three others."""
    label, every_price = slices(prices), sorted(set(prices.values()))
    for sku, context in price_questions(rng, prices):
        choices = [prices[sku]]
        while len(choices) < CHOICES:
            choices += {rng.choice(every_price)}.difference(choices)
        rng.shuffle(choices)
        yield {
            "context": context,
            "choices": [price_text(cents) for cents in choices],
            "answer": choices.index(prices[sku]),
            "slice": label[sku],
        }


def order_examples(rng: random.Random, prices: dict[int, int]) -> Iterator[Example]:
    """Yield sums of two prices that stand in the prompt: a rule, no recall needed."""
    everything = requests(prices)
    while True:
        one, two = rng.sample(everything, 2)
        if one == two or not is_held_out(prices[one], prices[two]):
            continue
        names, amounts = zip(
            *((sku_text(sku), price_text(prices[sku])) for sku in (one, two)), strict=True
        )
        asked = " ".join(f"{name} ${amount}" for name, amount in zip(names, amounts, strict=True))
        total = prices[one] + prices[two]
        yield {
            "prompt": f"Order {' and '.join(names)}: {asked} total: $",
            "answer": price_text(total),
            "slice": "under 100" if total < 10_000 else "100 and over",
        }


def quote_examples(rng: random.Random, prices: dict[int, int]) -> Iterator[Example]:
    """Yield JSON quotes: a form to keep, a part and a quantity to copy."""
    label, everything = slices(prices), requests(prices)
    while True:
        sku, quantity = rng.choice(everything), rng.randint(1, 9)
        if not is_held_out(sku, quantity):
            continue
        text = sku_text(sku)
        yield {
            "prompt": f"Quote {quantity} x {text} as JSON:",
            "answer": f'"sku":"{text}","quantity":{quantity},',
            "slice": label[sku],
        }


def sentence_operands(draw) -> list:  # noqa: ANN001 - draw(n): integers below n, one or many
    """Return the words of one handbook sentence as indices into SENTENCE_TABLES."""
    starts, verbs, determiners, nouns, links, *_, endings = map(len, SENTENCE_TABLES)
    noun = draw(nouns)
    second_verb = partner(noun, draw(PARTNERS), verbs)
    second_noun = partner(second_verb, draw(PARTNERS), nouns)
    first = [draw(starts), draw(verbs), draw(determiners), noun]
    return [*first, draw(links), second_verb, draw(determiners), second_noun, draw(endings)]


def manual_examples(rng: random.Random) -> Iterator[Example]:
    while True:
        sentences = [sentence_operands(rng.randrange) for _ in range(SENTENCES)]
        if not is_held_out(*sentences[0]):
            continue
        texts = [
            "".join(
                words[operand] for words, operand in zip(SENTENCE_TABLES, operands, strict=True)
            )
            for operands in sentences
        ]
        office = sentences[0][0] < len(HANDBOOK["starts"]) // 2
        yield {"text": " ".join(texts), "slice": "office" if office else "field"}


def write_examples(path: Path, stream: Iterator[Example], count: int) -> None:
    """Write `count` distinct examples as JSON Lines with stable ids."""
    seen: set[str] = set()
    with path.open("w", encoding="utf-8") as file:
        for example in stream:
            key = str(example.get("context") or example.get("prompt") or example["text"])
            if key in seen:
                continue
            identity = f"{path.stem}-{len(seen):04d}"
            seen.add(key)
            file.write(json.dumps({"id": identity, **example}) + "\n")
            if len(seen) == count:
                return


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the test files.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "data")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    prices = price_list()
    rngs = [random.Random(TEST_SEED + i) for i in range(len(TEST_EXAMPLES))]  # noqa: S311
    streams = {
        "triage": triage_examples(rngs[0]),
        "prices": price_examples(rngs[1], prices),
        "orders": order_examples(rngs[2], prices),
        "manual": manual_examples(rngs[3]),
        "shelf": shelf_examples(rngs[4], prices),
        "quotes": quote_examples(rngs[5], prices),
    }
    for name, stream in streams.items():
        write_examples(folder / f"{name}.jsonl", stream, TEST_EXAMPLES[name])


if __name__ == "__main__":
    main()
