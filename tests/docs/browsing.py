"""Screen sizes, and checks of a page that is open in a browser."""

SCREENS = {"desktop": (1280, 900), "phone": (390, 844)}
LOOKS = [(size, scheme) for size in SCREENS.values() for scheme in ("light", "dark")]
"""Parameters of the fixture `page`: a screen, and the preferred colour scheme."""


def screen_problems(page):
    """Return errors, foreign requests, overflow and broken images of an open page."""
    foreign = [url for url in page.asked if not url.startswith(("file:", "data:"))]
    overhang = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    broken = page.evaluate(
        "[...document.images].filter(x => x.complete && !x.naturalWidth).map(x => x.src)"
    )
    wide = [f"{overhang} pixels too wide"] if overhang > 0 else []
    return [*foreign, *page.problems, *wide, *broken]


def axe_problems(page, axe):
    """Return the violations that axe-core reports for an open page."""
    page.add_script_tag(content=axe)
    violations = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [(violation["id"], violation["nodes"][0]["html"]) for violation in violations]
