"""Keep docs/reference/settings.md complete: every `FUQI_*` setting with its default."""
# ruff: noqa: INP001  (scripts are no package)

from __future__ import annotations

import sys

import tables

from api.settings import Settings


def main() -> int:
    """Check or write the table."""
    rows = {}
    for name, field in Settings.model_fields.items():
        kind = str(getattr(field.annotation, "__name__", field.annotation)).replace("|", "or")
        kind = kind.replace("typing.", "").replace("pathlib.", "").replace("pydantic.types.", "")
        default = "unset" if field.default is None else f"`{field.default}`"
        rows[f"FUQI_{name.upper()}"] = (kind, default, field.description or "")
    header = ("setting", "type", "default", "what it does")
    return tables.run("settings.md", name="settings", header=header, rows=rows)


if __name__ == "__main__":
    sys.exit(main())
