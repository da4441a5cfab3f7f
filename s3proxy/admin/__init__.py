"""The operators' API: HTTP over what operators may see and change, with keys of their own."""
