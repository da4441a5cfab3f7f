"""The ground: everything outside the process that the system stands on."""
