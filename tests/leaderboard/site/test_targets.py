"""Where a pointer reaches points, by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.leaderboard.site.front import target

PLACES = st.tuples(st.integers(0, 60), st.integers(0, 60))


def ends(corners):
    across, down = zip(*corners, strict=True)
    return [min(across), max(across), min(down), max(down)]


def inside(place, corners):
    """Return whether a place lies within a convex shape, its edges included."""
    turns = [
        (b[0] - a[0]) * (place[1] - a[1]) - (b[1] - a[1]) * (place[0] - a[0])
        for a, b in zip(corners, [*corners[1:], *corners[:1]], strict=True)
    ]
    return min(turns) >= -1e-6


def test_a_point_alone_has_an_octagon():
    corners = target((100.0, 50.0), [], 10.0)
    assert [math.dist(corner, (100.0, 50.0)) for corner in corners] == pytest.approx([10.0] * 8)
    apothem = 10.0 * math.cos(math.pi / 8)
    assert ends(corners) == pytest.approx(
        [100 - apothem, 100 + apothem, 50 - apothem, 50 + apothem]
    )


def test_it_ends_halfway_to_a_near_point():
    left, right, top, bottom = ends(target((100.0, 50.0), [(100.0, 50.0), (104.0, 50.0)], 10.0))
    apothem = 10.0 * math.cos(math.pi / 8)
    assert (left, right) == pytest.approx((100 - apothem, 102))
    assert (top, bottom) == pytest.approx((50 - apothem, 50 + apothem))
    far = [(121.0, 50.0)]
    assert target((100.0, 50.0), far, 10.0) == target((100.0, 50.0), [], 10.0)


@given(points=st.lists(PLACES, min_size=1, max_size=8, unique=True), place=PLACES)
def test_a_place_is_the_nearest_points(points, place):
    targets = {point: target(point, points, 14.0) for point in points}
    assert all(inside(point, corners) for point, corners in targets.items())
    least = min(math.dist(place, point) for point in points)
    for point, corners in targets.items():
        if inside(place, corners):
            assert math.dist(place, point) == pytest.approx(least, abs=1e-4)
