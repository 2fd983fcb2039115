"""Tests of the texts from which the search page shows excerpts."""

from docutils import nodes
from docutils.utils import new_document

from tests.docs.scripts import load_pages

excerpts = load_pages("excerpts")


def test_a_pages_text_is_that_of_its_paragraphs():
    document = new_document("page")
    table = nodes.table("", nodes.paragraph("", "in a table"))
    document += [
        nodes.title("", "Title"),
        nodes.paragraph("", "First  line\nand second."),
        nodes.literal_block("", "code = 1"),
        table,
        nodes.section("", nodes.paragraph("", "Last.")),
    ]
    assert excerpts.page_text(document) == "First line and second. Last."
