"""Keeping sites alike, change by change: who they are, what is sent to them, what is read there."""
