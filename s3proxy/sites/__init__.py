"""The site listener: what other sites are answered, with keys of their own."""
