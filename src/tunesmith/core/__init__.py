"""Data and pure functions: the part of tunesmith that decides and does no I/O."""
