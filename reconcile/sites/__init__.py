"""Sites made alike again."""
