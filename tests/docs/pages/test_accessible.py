"""Built pages get what the theme lacks; all else stays."""

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


def test_twice_is_as_once():
    page = '<pre>x</pre><aside class="sidebar-drawer"></aside>'
    assert accessible(accessible(page)) == accessible(page)
