"""Table mappings, one module per subject."""
