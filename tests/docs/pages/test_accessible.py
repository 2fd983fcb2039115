"""Tests of accessibility fixes in built pages."""

from tests.docs.scripts import load_pages

accessible = load_pages("accessible").accessible


def test_headings_get_levels_and_scrolling_parts_the_keyboard():
    page = (
        '<p class="caption" role="heading">A</p><pre>x</pre><th class="head"><p></p></th><p>b</p>'
    )
    assert accessible(page) == (
        '<p class="caption" role="heading" aria-level="2">A</p><pre tabindex="0">x</pre>'
        "<td></td><p>b</p>"
    )


def test_second_pass_changes_no_page():
    page = '<pre>x</pre><aside class="sidebar-drawer"></aside>'
    assert accessible(accessible(page)) == accessible(page)


def test_a_signature_of_several_lines_is_no_list_without_terms():
    one, other = (f'<em class="sig-param"><span>{name}</span></em>,' for name in "ab")
    fields = '<dl class="field-list"><dt>Returns</dt>\n<dd>x</dd>\n</dl>'
    page = f"(\n\n<dl>\n<dd>{one}</dd>\n<dd>{other}</dd>\n</dl>\n\n)</dt>{fields}"
    lines = f'<span class="sig-line">{one}</span>\n<span class="sig-line">{other}</span>'
    assert accessible(page) == f"(\n\n{lines}\n\n)</dt>{fields}"
