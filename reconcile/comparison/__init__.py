"""What sites hold, compared range by range."""
