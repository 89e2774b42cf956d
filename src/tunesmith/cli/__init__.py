"""The command line. One file per command; what they do is in `tunesmith.tuning`.

stdout is for data, stderr for everything else. Exit codes are listed in `tunesmith.cli.errors`.
"""

from __future__ import annotations

import sys


def main() -> None:
    """The program `tunesmith`."""
    from tunesmith import streams

    streams.keep_descriptors()
    from tunesmith.cli.app import app
    from tunesmith.cli.errors import exit_code, explain

    try:
        app(prog_name="tunesmith")
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `tunesmith trials | head` is no error
        sys.exit(0)
    except Exception as error:
        code = exit_code(error)
        if code is None:
            raise
        explain(error)
        sys.exit(code)
    finally:
        streams.let_go()
