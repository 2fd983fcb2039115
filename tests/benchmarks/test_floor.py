"""The dense controls compute what they say."""

import torch

from benchmarks import floor


def test_macs_count_a_constant_input_once_and_products_at_each_time_step():
    # 3 rows: 4 x 10 once, 10 x 20 at each of 8 time steps
    assert floor.macs((4, 10, 20), 8, 3) == 3 * 40 + 8 * 3 * 200


def test_products_run_as_often_as_gradients_need(monkeypatch):
    shapes = []
    monkeypatch.setattr(
        torch, "mm", lambda left, right, out: shapes.append((*left.shape, right.shape[1]))
    )
    floor.products((4, 10, 20), 8, 3)()
    assert shapes == [(3, 4, 10), (24, 10, 20)]
    shapes.clear()
    floor.training_products((4, 10, 20), 8, 3)()
    # forward twice, both weights' gradients, and the second layer's input's
    assert shapes == [(3, 4, 10), (24, 10, 20), (4, 3, 10), (10, 24, 20), (24, 20, 10)]
