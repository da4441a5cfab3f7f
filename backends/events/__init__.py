"""Changes: the EventLog protocol and its implementations."""
