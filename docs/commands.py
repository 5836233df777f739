"""Writes docs/commands.md from the program's own --help: `python docs/commands.py`. A test fails
when it is stale.
"""

import io
from contextlib import redirect_stdout
from pathlib import Path

from rich.console import Console

from galaxyvotes.cli import app

PAGE = Path(__file__).with_name("commands.md")


def commands() -> str:
    """The page: every command's --help, in alphabetical order."""
    names = sorted(name for name in app if not name.startswith("-"))
    parts = [
        "# Commands\n\nWritten by `python docs/commands.py` from `galaxyvotes COMMAND --help`.\n"
    ]
    for name in names:
        text = io.StringIO()
        console = Console(
            file=text, width=100, force_terminal=False, color_system=None, highlight=False
        )
        with redirect_stdout(text):
            app.help_print([name], console=console)
        lines = "\n".join(line.rstrip() for line in text.getvalue().strip().splitlines())
        parts.append(f"## {name}\n\n```text\n{lines}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(commands(), "utf-8")
