"""What a store at the other end of a network has to do beside what every store does: see `tunesmith.testing.stores`."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

from tunesmith.core.errors import StoreError, StudyNotFound
from tunesmith.core.events import Event
from tunesmith.store import Store, open_store
from tunesmith.store.journal import Journal
from tunesmith.testing.check import Check, collect
from tunesmith.testing.network import Network
from tunesmith.testing.stores import completed, opened, spec, suggested

#: More events than come in one answer.
_LONG = 12_000
#: Asks and tells on both sides of a fork, twice.
_FORKS = """
import os, sys, tunesmith as ts
study = ts.Study.create(ts.Space(x=ts.Float(0, 1)), name="s", storage=sys.argv[1])
study.tell(study.ask(), 1.0)
for _ in range(2):
    child = os.fork()
    for _ in range(3): study.tell(study.ask(), 2.0 if child else 3.0)
    if child == 0: os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
study.tell(study.ask(), 4.0)
print(study.store.verify("s"), len(study.trials))
study.close()
"""


def distant_store_checks(make: Callable[[], str]) -> list[Check]:
    """The checks for a store behind a port of this host; `make` gives the URL of an empty one. They fork, so no other thread
    may hold what a child needs."""
    return collect(_DistantSuite(make))


class _DistantSuite:
    def __init__(self, make: Callable[[], str]) -> None:
        self._make = make

    @contextmanager
    def _two(self) -> Iterator[tuple[Store, Store]]:
        """Two handles on one store, which has a study."""
        url = self._make()
        with closing(open_store(url)) as one, closing(open_store(url)) as other:
            one.create(spec(), 1.0)
            yield one, other

    def check_a_long_history_comes_in_parts(self) -> None:
        with self._two() as (store, other):
            batch = [opened(str(n)) for n in range(_LONG)]
            assert store.append("study", batch, 0) == _LONG
            assert list(other.changes("study")) == batch
            assert list(other.changes("study", 7000)) == batch[7000:]

    def check_a_study_made_anew_is_another_one(self) -> None:
        """Who still holds the one that was deleted must not write into its successor."""
        with self._two() as (one, other):
            one.append("study", [opened()], 0)
            journal = Journal(other, "study")
            journal.refresh()
            one.delete("study")
            one.create(spec(), 2.0)
            one.append("study", [opened("a"), opened("b")], 0)
            refused = ""
            try:
                journal.write(lambda _: [suggested(0)])
            except StudyNotFound as error:
                refused = str(error)
            assert "made anew" in refused
            assert one.cursor("study") == 2
            assert Journal(other, "study").refresh().cursor == 2

    def check_after_a_fork_both_sides_connect_again(self) -> None:
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", _FORKS, self._make()],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (run.returncode, run.stdout) == (0, "None 14\n"), run.stderr

    def check_in_a_transaction_a_fork_refuses(self) -> None:
        with self._two() as (store, _):
            with store.writing("study"):
                store.append("study", [opened()], 0)
                child = os.fork()
                if child == 0:
                    try:
                        store.cursor("study")
                    except StoreError:
                        os._exit(7)
                    os._exit(1)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
            assert store.cursor("study") == 1

    def check_a_network_that_is_cut_loses_nothing(self) -> None:
        """Nor is anything there twice. The server hears nothing of it: what it holds for the lost client it holds until it
        misses a word."""
        url = self._make()
        port = urlsplit(re.sub(r"^\w+", "http", url)).port
        assert port is not None, f"{url} says nothing of its port"
        with closing(Network(port)) as network:
            through = url.replace(f":{port}", f":{network.port}", 1)
            with closing(open_store(through)) as store:
                store.create(spec(), 1.0)
                journal, written = Journal(store, "study"), list[Event]()
                rng = random.Random(1)
                for number in range(30):
                    for event in (suggested(number), completed(number, number / 64)):
                        if rng.random() < 0.5:
                            network.cut_after(rng.randrange(4000))
                        journal.write(lambda _, event=event: [event])  # type: ignore[misc]
                        written.append(event)
                assert network.cuts > 5
                assert list(store.changes("study")) == written
                assert journal.ledger.completed == 30
                assert store.verify("study") is None
