"""Facts that pages and JSON share: rows in, output shapes out. Reads only."""
