"""Labels of a classification, and what is refused."""

import pytest

from pytest_quantcheck import Classification
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.workloads.example import LabelItem

ROW = {"text": "Where is my parcel?", "label": "shipping"}
LABELS = {"shipping": "delivery", "billing": ["invoice", "payment"]}


def tickets(*rows, labels=LABELS, **options):
    found = [ROW | row for row in rows] or [ROW]
    return Classification.from_examples(found, name="tickets", labels=labels, **options)


@pytest.mark.parametrize("label", ["shipping", " shipping", 0])
def test_a_label_is_a_name_or_an_index(label):
    (example,) = tickets({"label": label}).examples()

    assert example.item == LabelItem(
        prompt="Where is my parcel?", label="shipping", labels=("shipping", "billing")
    )


def test_labels_alone_are_their_own_words():
    assert tickets(labels=["shipping", "billing"]).words == {
        "shipping": ("shipping",),
        "billing": ("billing",),
    }


def test_few_shot_examples_show_the_first_word_of_their_label():
    shot = {"text": "Please pay.", "label": "billing"}
    workload = tickets(few_shot=[shot], template="{text}\nTopic:")
    (example,) = workload.examples()

    assert workload.asked(example.item).text == (
        "Please pay.\nTopic: invoice\n\nWhere is my parcel?\nTopic:"
    )


def test_the_fingerprint_knows_the_words():
    several = [LABELS, ["shipping", "billing"], LABELS | {"shipping": "parcel"}]
    found = {one.fingerprint(one.examples()) for one in (tickets(labels=each) for each in several)}

    assert len(found) == len(several)


WRONG = {
    "one string": ("shipping", "expected a list of labels, or a mapping"),
    "number": (3, "expected a list of labels, or a mapping"),
    "one label": (["shipping"], "expected at least two labels"),
    "twice": (["shipping", "billing", "billing"], "expected different non-empty strings"),
    "empty label": (["shipping", ""], "expected different non-empty strings"),
    "no word": ({"shipping": "a", "billing": []}, "expected different non-empty strings"),
    "empty word": ({"shipping": "a", "billing": " "}, "expected different non-empty strings"),
    "a number": ({"shipping": "a", "billing": 3}, "expected different non-empty strings"),
    "same word": ({"shipping": "a", "billing": ["b", " a"]}, "the same word stands twice"),
}


@pytest.mark.parametrize(("labels", "message"), WRONG.values(), ids=WRONG)
def test_wrong_labels_are_refused_when_the_workload_is_made(labels, message):
    with pytest.raises(UsageError) as caught:
        tickets(labels=labels)
    assert str(caught.value).startswith("workload tickets: labels=")
    assert message in str(caught.value)


@pytest.mark.parametrize("label", ["returns", 2, -1, True, None])
def test_a_label_that_does_not_exist_is_refused_with_its_place(label):
    with pytest.raises(MeasurementError) as caught:
        tickets({"label": label}).examples()
    assert str(caught.value) == (
        f"examples[0]: field 'label': found {label!r}, expected one of shipping, billing, or an "
        "index from 0 to 1"
    )
