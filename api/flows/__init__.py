"""One function per use case: load, decide, record."""
