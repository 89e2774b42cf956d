"""A tuner's own process: JSON lines in, JSON lines out. ``python serve.py TUNER``, see `client`.

    {"start": {"space": .., "seed": .., "trials": ..}}       -> {"cpu_s": ..}
    {"ask": {}}                                              -> {"config": .., "cpu_s": ..}
    {"tell": {"config": .., "value": .., "failed": false}}   -> {"cpu_s": ..}
    {"recommend": {}}                                        -> {"config": .., "cpu_s": ..}

An exception is answered by ``{"error": ..}``; the next ``start`` begins afresh.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any, TextIO

from peers import Tuner, peer


class Server:
    def __init__(self, name: str) -> None:
        self._peer = peer(name)
        self._tuner: Tuner | None = None

    def answer(self, verb: str, given: dict[str, Any]) -> dict[str, Any]:
        if verb == "start":
            self._tuner = None
            began = time.process_time()
            self._tuner = self._peer.make(**given)
            return {"cpu_s": time.process_time() - began}
        assert self._tuner is not None, "start comes first"
        if verb == "tell" and given["value"] is None:
            given["value"] = math.nan
        began = time.process_time()
        config = getattr(self._tuner, verb)(**given)
        return {"config": config, "cpu_s": time.process_time() - began}


def serve(name: str, lines: TextIO, out: TextIO) -> None:
    server = Server(name)
    for line in lines:
        ((verb, given),) = json.loads(line).items()
        try:
            reply = server.answer(verb, given)
        except Exception as error:  # noqa: BLE001 (a tuner may raise anything; that is a result)
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(last.filename).name}:{last.lineno}"
            reply = {"error": f"{type(error).__name__}: {error} ({where})"[:500]}
        out.write(json.dumps(reply) + "\n")
        out.flush()


def main() -> None:
    warnings.filterwarnings("ignore")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a tuner prints is no answer
    serve(sys.argv[1], sys.stdin, answers)


if __name__ == "__main__":
    main()
