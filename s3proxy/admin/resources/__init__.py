"""The resources of the operators' API, one file each: what they look like, what can be done."""
