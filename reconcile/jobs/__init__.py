"""Long work in the background: what it is, where it is kept, what runs it."""
