"""Alembic asks for this file; tunesmith runs its migrations itself (see store/migrate.py)."""
