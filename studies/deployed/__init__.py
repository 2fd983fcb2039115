"""What agents cost and earn as C."""
