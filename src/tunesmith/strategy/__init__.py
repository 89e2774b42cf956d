"""The building blocks of searchers and schedulers."""
