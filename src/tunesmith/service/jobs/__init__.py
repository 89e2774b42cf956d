"""Jobs: programs that are handed over to a service, and run there."""
