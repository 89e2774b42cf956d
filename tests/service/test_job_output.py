"""What programs print, to its last line."""

from __future__ import annotations

import subprocess

from tunesmith.service.jobs.output import printed


class EndsMeanwhile(subprocess.Popen[bytes]):
    """A process that has ended whenever somebody asks: it prints its last line between a look and the question."""

    def poll(self) -> int | None:
        return self.wait()


def begin(
    script: str, kind: type[subprocess.Popen[bytes]] = subprocess.Popen
) -> subprocess.Popen[bytes]:
    return kind(["sh", "-c", script], stdout=subprocess.PIPE)


def test_a_line_just_before_the_end() -> None:
    assert b"".join(printed(begin("sleep 0.2; echo last", EndsMeanwhile), 0.01)) == b"last\n"


def test_it_closes_its_output_and_goes_on() -> None:
    process = begin("echo first; exec >&-; sleep 0.3; exit 7")
    seen = list(printed(process, 0.05))
    assert (seen[0], process.returncode) == (b"first\n", 7)


def test_one_that_it_has_left_behind_holds_its_output() -> None:
    process = begin("echo $$; sleep 100 & echo $!")
    lines = b"".join(printed(process, 0.05)).split()
    assert process.returncode == 0
    assert process.stdout is not None
    assert process.stdout.closed
    subprocess.run(["kill", lines[1]], check=True)
