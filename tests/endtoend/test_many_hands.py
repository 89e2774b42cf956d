"""Workers that ask for themselves, of which some are killed, and the database with them: each trial ends once."""

from __future__ import annotations

import collections
import random
import signal
import subprocess
import sys
import time

from tests.postgres import Server

import tunesmith as ts
from tunesmith.core import events

#: Works until the study is over, whatever breaks.
WORKER = """
import sys, time, tunesmith as ts
while True:
    try:
        with ts.Study.open("s", storage=sys.argv[1]) as study:
            while True:
                trial = study.ask()
                time.sleep(0.1)
                try: study.tell(trial, trial.config["x"])
                except ts.TransitionError: pass
    except ts.StudyOver: break
    except ts.StoreError: time.sleep(0.1)
    except ts.StudyError: time.sleep(0.1)  # all trials run; some of them may be lost
"""
WORKERS, TRIALS, KILLS = 5, 60, 4


def test_each_trial_ends_once() -> None:
    server, rng = Server(), random.Random(1)
    try:
        url = server.url()
        space = ts.Space(x=ts.Float(0, 1))
        ts.Study.create(
            space, name="s", storage=url, searcher="random", seed=1, trials=TRIALS
        ).close()

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen([sys.executable, "-W", "error", "-c", WORKER, url])

        workers = [start() for _ in range(WORKERS)]
        with ts.Study.open("s", storage=url) as study:
            for kill in range(KILLS):
                ended = study.store.summary("s").counts[ts.State.COMPLETED]
                deadline = time.monotonic() + 60
                while study.store.summary("s").counts[ts.State.COMPLETED] <= ended:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                victim = workers.pop(rng.randrange(len(workers)))
                victim.send_signal(signal.SIGKILL)
                victim.wait()
                workers.append(start())
                if kill % 2:
                    server.stop(signal.SIGQUIT)
                    server.start()
            for worker in workers:
                assert worker.wait(120) == 0
            history = list(study.store.changes("s"))
            ends = collections.Counter(e.trial for e in history if isinstance(e, events.Finished))
            assert ends == dict.fromkeys(range(TRIALS), 1)
            assert all(t.value == t.config["x"] for t in study.trials)
            assert {e.why for e in history if isinstance(e, events.Ended)} == {"trials"}
            assert study.store.verify("s") is None
    finally:
        server.remove()
