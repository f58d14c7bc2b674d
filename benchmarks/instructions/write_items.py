"""Write instructions.jsonl: 200 short instructions whose answers can be checked by a program.

usage: write_items.py

Ten kinds of twenty items, each kind a slice. The same items come out every time.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

N_PER_KIND = 20
NAMES = ["Ann", "Ben", "Clara", "David", "Emma", "Frank", "Grace", "Henry", "Iris", "Jack"]
CITIES = ["Berlin", "Boston", "Cairo", "Dublin", "Lisbon", "London", "Madrid", "Paris", "Rome"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
COLOURS = ["black", "blue", "brown", "green", "orange", "pink", "red", "white", "yellow"]
THINGS = ["bag", "bike", "book", "chair", "coat", "desk", "door", "lamp", "phone", "table"]
FRUITS = ["apples", "bananas", "lemons", "melons", "oranges", "peaches", "pears", "plums"]
GOOD = [
    "works very well",
    "is a joy to use",
    "is the best I ever had",
    "arrived early and is great",
]
BAD = ["broke on the first day", "is a waste of money", "never arrived", "is the worst I ever had"]
OPPOSITES = [
    ("big", "small"), ("early", "late"), ("fast", "slow"), ("full", "empty"), ("happy", "sad"),
    ("hard", "soft"), ("high", "low"), ("hot", "cold"), ("light", "dark"), ("long", "short"),
    ("new", "old"), ("open", "closed"), ("rich", "poor"), ("right", "wrong"), ("safe", "dangerous"),
    ("strong", "weak"), ("thick", "thin"), ("warm", "cool"), ("wet", "dry"), ("young", "old"),
]  # fmt: skip
KINDS_OF_THINGS = {
    "animal": ["cat", "cow", "dog", "duck", "goat", "horse", "lion"],
    "fruit": ["apple", "banana", "cherry", "grape", "lemon", "mango", "pear"],
    "tool": ["axe", "drill", "hammer", "ladder", "saw", "screwdriver"],
}


def sender(rng: random.Random) -> tuple[str, list[str]]:
    """Ask who wrote a note."""
    name, thing, day = rng.choice(NAMES), rng.choice(THINGS), rng.choice(DAYS)
    return f"Note from {name}: the {thing} arrives on {day}. Who wrote the note?", [name]


def weekday(rng: random.Random) -> tuple[str, list[str]]:
    """Ask when something arrives."""
    name, thing, day = rng.choice(NAMES), rng.choice(THINGS), rng.choice(DAYS)
    return f"Note from {name}: the {thing} arrives on {day}. On which day does it arrive?", [day]


def city(rng: random.Random) -> tuple[str, list[str]]:
    """Ask where somebody lives now."""
    name, (before, after) = rng.choice(NAMES), rng.sample(CITIES, 2)
    return f"{name} moved from {before} to {after}. Where does {name} live now?", [after]


def total(rng: random.Random) -> tuple[str, list[str]]:
    """Ask what several things cost."""
    count, price, fruit = rng.randint(2, 9), rng.randint(2, 9), rng.choice(FRUITS)
    question = f"{count} {fruit} cost {price} euros each. How many euros do they cost together?"
    return question, [str(count * price)]


def colour(rng: random.Random) -> tuple[str, list[str]]:
    """Ask which colour one of two things has."""
    things, colours = rng.sample(THINGS, 2), rng.sample(COLOURS, 2)
    asked = rng.randrange(2)
    told = f"The {things[0]} is {colours[0]} and the {things[1]} is {colours[1]}."
    return f"{told} What colour is the {things[asked]}?", [colours[asked]]


def review(rng: random.Random) -> tuple[str, list[str]]:
    """Ask whether a review is positive."""
    is_good = rng.random() < 1 / 2
    text = f"The {rng.choice(THINGS)} {rng.choice(GOOD if is_good else BAD)}."
    return f"Review: {text} Is it positive or negative?", ["positive" if is_good else "negative"]


def opposite(rng: random.Random) -> tuple[str, list[str]]:
    """Ask for the opposite of a word."""
    word, other = rng.choice(OPPOSITES)
    return f"What is the opposite of {word}?", [other]


def larger(rng: random.Random) -> tuple[str, list[str]]:
    """Ask which of two numbers is larger."""
    one, two = rng.sample(range(10, 100), 2)
    return f"Which number is larger, {one} or {two}?", [str(max(one, two))]


def order(rng: random.Random) -> tuple[str, list[str]]:
    """Ask for the number of an order."""
    number = f"{rng.choice('ABCDE')}{rng.choice('KLMNP')}-{rng.randint(1000, 9999)}"
    question = f"Order {number} was sent to {rng.choice(CITIES)}. What is the order number?"
    return question, [number]


def kind(rng: random.Random) -> tuple[str, list[str]]:
    """Ask what kind of thing something is."""
    name = rng.choice(list(KINDS_OF_THINGS))
    thing = rng.choice(KINDS_OF_THINGS[name])
    return f"Is this an animal, a fruit or a tool: {thing}?", [name]


KINDS: tuple[Callable[[random.Random], tuple[str, list[str]]], ...] = (
    sender, weekday, city, total, colour, review, opposite, larger, order, kind,
)  # fmt: skip


def items() -> list[dict[str, object]]:
    """Return all items; no question stands twice."""
    rng = random.Random(2026)  # noqa: S311 - no secret
    found: dict[str, dict[str, object]] = {}
    for make in KINDS:
        name = make.__name__
        number = 0
        while number < N_PER_KIND:
            prompt, answer = make(rng)
            if prompt not in found:
                number += 1
                row = {"id": f"{name}-{number}", "slice": name, "prompt": prompt, "answer": answer}
                found[prompt] = row
    return list(found.values())


if __name__ == "__main__":
    lines = [json.dumps(item, ensure_ascii=False) for item in items()]
    path = Path(__file__).parent / "instructions.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
