"""What every benchmark writes beside its numbers: which code, which machine, which command."""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any


def _git(*words: str) -> str:
    asked = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
    return asked.stdout.strip()


# Of the code that runs: the branch may go on during hours of work.
COMMIT = _git("rev-parse", "--short", "HEAD")
COMMIT += " with changes" if _git("status", "--porcelain", "src") else ""


def machine() -> str:
    """The processor, the number of cores this process may use, and memory."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        model = next(
            (
                line.split(":")[1].strip()
                for line in info.read_text().splitlines()
                if "model name" in line
            ),
            model,
        )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB"


def write(path: Path | None, figures: dict[str, Any]) -> None:
    """Write figures with their provenance as JSON; without a path, nothing."""
    if path is None:
        return
    provenance = {
        "command": " ".join(["python", *sys.argv]),
        "commit": COMMIT,
        "machine": machine(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "date": datetime.now(UTC).date().isoformat(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"provenance": provenance, **figures}, indent=1) + "\n")


def spread(values: list[float]) -> dict[str, float]:
    """Mean, sample standard deviation, smallest and largest."""
    mean = sum(values) / len(values)
    deviation = (sum((value - mean) ** 2 for value in values) / max(len(values) - 1, 1)) ** 0.5
    return {"mean": mean, "deviation": deviation, "smallest": min(values), "largest": max(values)}
