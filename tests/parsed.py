"""Parser of tables and drawings in HTML pages."""

from html.parser import HTMLParser

VOID = ("br", "img", "input", "link", "meta")


class Parsed(HTMLParser):
    """Tables of a page as rows of texts, its elements with attributes, and all texts.

    Texts inside drawings are not part of a cell.
    """

    def __init__(self, text):
        super().__init__()
        self.tables, self.elements, self.said = [], [], []
        self._open = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.said.append(data)
        if "svg" not in self._open and {"th", "td"} & set(self._open):
            self.tables[-1][-1][-1] += data

    def attributes(self, tag):
        return [values for name, values in self.elements if name == tag]
