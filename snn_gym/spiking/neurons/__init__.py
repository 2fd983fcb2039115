"""Neurons: parameters, steps of Norse and our own, surrogate gradients, compiled kernels."""
