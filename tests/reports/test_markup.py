from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from undercast.reports.markup import Markup, element, escape, join


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_an_element_holds_texts_elements_and_attributes() -> None:
    made = element("p", "a < b", element("b", "c"), None, class_="x", data_kind='"q"', hidden=True, title=None)
    assert made == '<p class="x" data-kind="&quot;q&quot;" hidden>a &lt; b<b>c</b></p>'


def test_numbers_are_written_with_as_few_digits_as_they_need() -> None:
    assert element("line", x1=1.0, y1=2.5, stroke_width=3) == '<line x1="1" y1="2.5" stroke-width="3"/>'


def test_markup_is_escaped_once() -> None:
    assert join([Markup("<br/>"), "<br/>"]) == "<br/>&lt;br/&gt;"


def test_what_html_has_not_becomes_a_replacement_character() -> None:
    assert escape("a\x00b\x9f") == "a\ufffdb\ufffd"
    assert escape("\ud800") == "?"


@given(st.text())
def test_any_text_comes_back_as_text_and_opens_no_element(text: str) -> None:
    reader = Reader()
    reader.feed(element("td", text, title=text))
    reader.close()
    assert [tag for tag, _ in reader.tags] == ["td"]
    readable = text.isprintable() and text.isascii()
    if readable:
        assert reader.text == text
        assert reader.tags[0][1] == [("title", text)]
