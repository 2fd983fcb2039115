"""e-prop beside back-propagation through time, on the two tasks that need memory."""
