"""Records that several rooms share are found here, and pages can be read."""

import json
from html.parser import HTMLParser

import pytest

VOID = {"meta", "link", "br", "input", "img"}
"""Elements that have no end."""


class Page(HTMLParser):
    """The elements of a page, and the texts within them."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(((self.open or [""])[-1], data))

    def text_of(self, *tags):
        return " ".join(data for tag, data in self.texts if not tags or tag in tags)


@pytest.fixture
def read():
    """Return the elements and texts of a page, whose elements must all end."""

    def call(text):
        page = Page(text)
        assert page.open == []
        return page

    return call


@pytest.fixture
def cards_of():
    """Return the cards that a page holds for its script."""

    def call(text):
        begin = text.index(mark := '<script type="application/json" id="cards-data">') + len(mark)
        return json.loads(text[begin : text.index("</script>", begin)])

    return call
