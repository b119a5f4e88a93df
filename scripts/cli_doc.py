"""Keep docs/reference/cli.md complete: the help of every `fuqi` command, as the command prints it."""
# ruff: noqa: INP001  (scripts are no package and speak to a terminal)

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import typer.main

from api.cli import build

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "cli.md"
BEGIN, END = "<!-- begin cli -->\n", "<!-- end cli -->"


def describe(command: Any, path: str) -> list[str]:
    """One command as Markdown, then its sub-commands."""
    # Typer brings its own copy of Click: what a command is, is asked of its methods, not of its class.
    context = command.context_class(command, info_name=path)
    lines = [f"## `{path}`", "", (command.help or "").split("\f")[0].strip(), ""]
    usage = " ".join(command.collect_usage_pieces(context))
    lines += ["```", f"{path} {usage}".rstrip(), "```", ""]
    for parameter in command.get_params(context):
        if getattr(parameter, "hidden", False) or parameter.name == "help":
            continue
        names = ", ".join([*parameter.opts, *parameter.secondary_opts])
        if parameter.param_type_name == "argument":
            names = (parameter.metavar or parameter.name or "").upper()
        text = " ".join((getattr(parameter, "help", "") or "").split())
        lines.append(f"- `{names}` {text}".rstrip())
    if lines[-1]:
        lines.append("")
    if hasattr(command, "list_commands"):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                lines += describe(inner, f"{path} {name}")
    return lines


def main() -> int:
    """Check or write the page."""
    parser = argparse.ArgumentParser(description="keep docs/reference/cli.md complete")
    parser.add_argument("--write", action="store_true", help="bring the page up to date")
    write = parser.parse_args().write
    text = PAGE.read_text("utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    new = (
        f"{before}{BEGIN}"
        + "\n".join(describe(typer.main.get_command(build()), "fuqi"))
        + END
        + after
    )
    if write:
        PAGE.write_text(new, "utf-8")
        print("cli.md: written")
    elif new != text:
        print("cli.md: differs from what the commands say; run `make docs`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
