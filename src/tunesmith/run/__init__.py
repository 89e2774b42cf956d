"""Executors, which run trials, and the modules that they share."""
