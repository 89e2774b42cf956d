"""The runner's end of a tuner's process (`serve`)."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from peers import peer
from tunesmith import Space

HERE = Path(__file__).parent
#: One thread for whoever uses BLAS, OpenMP or torch.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)


class TunerFailed(Exception):
    """A tuner raised, died, or did not answer in time."""


class Client:
    """A tuner's process. It serves one job after another; after a failure a new one is needed."""

    def __init__(self, tuner: str, environments: Path | None, patience_s: float = 600.0) -> None:
        """Without `environments` the tuner is one that this very Python has."""
        self.tuner = tuner
        self._patience_s = patience_s
        environment = peer(tuner).environment if environments else ""
        python = sys.executable
        if environments and environment:
            python = str(environments / environment / "bin/python")
        variables = {**os.environ, **ONE_THREAD}
        if environment:
            variables.pop("PYTHONPATH", None)  # an environment of its own is one
        self._process = subprocess.Popen(
            [python, str(HERE / "serve.py"), tuner],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=variables,
        )

    def start(self, space: Space, seed: int, trials: int) -> float:
        """Begin a job; CPU seconds that took."""
        reply = self._call("start", space=space.to_dict(), seed=seed, trials=trials)
        return float(reply["cpu_s"])

    def ask(self) -> tuple[dict[str, Any], float]:
        reply = self._call("ask")
        return reply["config"], float(reply["cpu_s"])

    def tell(self, config: dict[str, Any], value: float) -> float:
        failed = not math.isfinite(value)
        told = None if failed else value
        return float(self._call("tell", config=config, value=told, failed=failed)["cpu_s"])

    def recommend(self) -> dict[str, Any] | None:
        config: dict[str, Any] | None = self._call("recommend")["config"]
        return config

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _call(self, verb: str, **given: Any) -> dict[str, Any]:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        alarm = threading.Timer(self._patience_s, process.kill)
        alarm.start()
        try:
            process.stdin.write(json.dumps({verb: given}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            alarm.cancel()
        if not line:
            code = process.wait()
            raise TunerFailed(f"its process ended with code {code} at {verb}")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise TunerFailed(f"{verb}: {reply['error']}")
        return reply
