"""Alembic migrations; `script_location = ledger:migrations`."""
