"""Making sites alike again: comparing what they hold."""
