"""The cheapest network of each family that keeps the return, on eight tasks."""
