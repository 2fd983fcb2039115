"""How often an interval holds what it is of, where few seeds are scored and some of them fail."""
