"""The dense controls compute what they say."""

import torch

from benchmarks import floor


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
