"""What the server counts, in the text format that Prometheus reads.

Source: Prometheus, "Exposition formats", text format 0.0.4.
"""

import threading
from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import version

__all__ = ["Statistics"]

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds


@dataclass
class Statistics:
    """Counters of requests and images; safe in any thread."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    durations: Counter[tuple[str, float]] = field(default_factory=Counter[tuple[str, float]])
    seconds: Counter[str] = field(default_factory=Counter[str])
    predicted: int = 0
    rejected: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered after so many seconds."""
        with self._lock:
            self.requests[route, status] += 1
            self.seconds[route] += seconds  # pyright: ignore[reportArgumentType]
            bucket = next((limit for limit in _BUCKETS if seconds <= limit), float("inf"))
            self.durations[route, bucket] += 1

    def count_images(self, predicted: int, rejected: int) -> None:
        """Count images that were predicted, and those that could not be used."""
        with self._lock:
            self.predicted += predicted
            self.rejected += rejected

    def text(self, waiting: int) -> str:
        """All of it; `waiting` images are not yet predicted."""
        lines = [
            "# TYPE galaxyvotes_info gauge",
            f'galaxyvotes_info{{version="{version("galaxyvotes")}"}} 1',
            "# HELP galaxyvotes_images_waiting Images that wait to be predicted.",
            "# TYPE galaxyvotes_images_waiting gauge",
            f"galaxyvotes_images_waiting {waiting}",
            "# HELP galaxyvotes_images_total Images that came, by what became of them.",
            "# TYPE galaxyvotes_images_total counter",
            f'galaxyvotes_images_total{{result="predicted"}} {self.predicted}',
            f'galaxyvotes_images_total{{result="rejected"}} {self.rejected}',
        ]
        with self._lock:
            lines += self._of_requests()
        return "\n".join(lines) + "\n"

    def _of_requests(self) -> list[str]:
        lines = ["# TYPE galaxyvotes_requests_total counter"]
        lines += [
            f'galaxyvotes_requests_total{{route="{route}",status="{status}"}} {count}'
            for (route, status), count in sorted(self.requests.items())
        ]
        lines.append("# TYPE galaxyvotes_request_seconds histogram")
        for route, seconds in sorted(self.seconds.items()):
            count = 0
            for limit in (*_BUCKETS, float("inf")):
                count += self.durations[route, limit]
                le = "+Inf" if limit == float("inf") else f"{limit:g}"
                lines.append(
                    f'galaxyvotes_request_seconds_bucket{{route="{route}",le="{le}"}} {count}'
                )
            lines.append(f'galaxyvotes_request_seconds_sum{{route="{route}"}} {seconds:.6f}')
            lines.append(f'galaxyvotes_request_seconds_count{{route="{route}"}} {count}')
        return lines
