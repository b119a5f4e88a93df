"""The `fuqi` command, one module per noun."""
