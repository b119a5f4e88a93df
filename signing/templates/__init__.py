"""Agreement templates: typed data in, a paginated PDF with known signature boxes out."""
