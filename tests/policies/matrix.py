"""Table of test results: algorithm × action space × observation space."""

CELL = "identity cell"


def matrix_lines(properties):
    """Return the lines for properties ``(CELL, "algorithm|actions|observations|result")``."""
    cells = {}
    for kind, value in properties:
        if kind == CELL:
            name, action, view, result = str(value).split("|")
            # Several tests may visit a cell.
            cells.setdefault((name, action), {}).setdefault(view, set()).update(result)
    if not cells:
        return []
    # Sorted, because workers finish in any order.
    views = sorted({view for row in cells.values() for view in row}, key=str.lower)
    rows = [("algorithm", "action space", views)]
    for (name, action), row in sorted(cells.items()):
        results = ["".join(sorted(row.get(view, "."), key="LDS.".index)) for view in views]
        rows.append((name, action, results))
    return [
        "L learns, D trains twice to the same weights, S saves and loads; . not shown",
        *(f"{a:<10} {b:<14}" + "".join(f"{x:<14}" for x in c).rstrip() for a, b, c in rows),
    ]
