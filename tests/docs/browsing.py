"""Screens, and what is wrong with a page that is open on one."""

SCREENS = {"desktop": (1280, 900), "phone": (390, 844)}
LOOKS = [(size, scheme) for size in SCREENS.values() for scheme in ("light", "dark")]
"""What the fixture `page` takes: a screen, and whether light or dark is wished."""
LOOK_NAMES = [f"{name}-{scheme}" for name in SCREENS for scheme in ("light", "dark")]


def screen_problems(page):
    """Return what is wrong with an open page: errors, other hosts asked, overhang, lost images."""
    foreign = [url for url in page.asked if not url.startswith(("file:", "data:"))]
    too_wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    broken = page.evaluate(
        "[...document.images].filter(x => x.complete && !x.naturalWidth).map(x => x.src)"
    )
    wide = [f"{too_wide} pixels too wide"] if too_wide > 0 else []
    return [*foreign, *page.problems, *wide, *broken]


def axe_problems(page, axe):
    """Return what axe-core finds against an open page."""
    page.add_script_tag(content=axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [(one["id"], one["nodes"][0]["html"]) for one in found]
