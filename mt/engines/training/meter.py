"""What a training reports: means over the rows since the last report, speed and memory."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import torch
from torch import Tensor

_KIB_PER_MIB = 1024


class Meter:
    """Sums metrics over the rows of a report's window, over all devices."""

    def __init__(self, device: torch.device, devices: int) -> None:
        self.device, self.devices = device, devices
        self.gradient_norm = 0.0
        self.last: dict[str, float] = {}
        self.seconds, self.steps = 0.0, 0
        self._started = time.monotonic()
        self._tokens = self._all_tokens = 0.0
        self._step: dict[str, Tensor] = {}
        self._window: dict[str, float] = {}
        self._rows = 0
        self._learning_rate = 0.0

    def start(self) -> None:
        """Begin to measure time."""
        self._started = time.monotonic()

    def add(self, sums: dict[str, Tensor], tokens: int) -> None:
        """Add a micro-batch's sums over its rows."""
        for name, value in sums.items():
            self._step[name] = self._step[name] + value if name in self._step else value
        self._tokens += tokens

    def end_step(self, rows: int, learning_rate: float) -> float:
        """Add the step to the window; return the mean loss over the whole batch's rows of this device's rows."""
        names = list(self._step)
        values = torch.stack([self._step[name].float() for name in names]).tolist() if names else []
        for name, value in zip(names, values, strict=True):
            self._window[name] = self._window.get(name, 0.0) + value
        self._step = {}
        self._rows += rows
        self._learning_rate = learning_rate
        self.steps += 1
        return values[names.index("loss")] / rows if names else 0.0

    def report(self) -> dict[str, float]:
        """Return the window's means, and begin the next one; every device has to call it."""
        now = time.monotonic()
        names = sorted(self._window)
        *sums, tokens = self._over_devices([*(self._window[name] for name in names), self._tokens])
        window = max(now - self._started, 1e-9)
        self.seconds += now - self._started
        self._all_tokens += tokens
        self.last = {
            **{name: value / self._rows for name, value in zip(names, sums, strict=True)},
            "learning_rate": self._learning_rate,
            "gradient_norm": self.gradient_norm,
            "tokens_per_second": tokens / window,
            "memory_mib": peak_memory_mib(self.device),
        }
        self._window, self._rows, self._tokens, self._started = {}, 0, 0.0, now
        return self.last

    @property
    def tokens_per_second(self) -> float:
        """Tokens without padding per second, since the start."""
        return self._all_tokens / self.seconds if self.seconds else 0.0

    def _over_devices(self, values: list[float]) -> list[float]:
        if self.devices == 1:
            return values
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(total)
        summed: list[float] = total.tolist()
        return summed


def peak_memory_mib(device: torch.device) -> float:
    """Return the peak memory so far in MiB: allocated on a GPU, or resident on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    used: Any = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / _KIB_PER_MIB if sys.platform != "darwin" else used / 2**20
