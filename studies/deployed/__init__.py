"""Cost and return of exported agents."""
