"""Coverage of confidence intervals when few seeds are scored and some fail."""
