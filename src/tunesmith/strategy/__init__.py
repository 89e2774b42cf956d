"""What searchers and schedulers are built from."""
