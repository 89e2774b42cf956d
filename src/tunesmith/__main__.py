"""``python -m tunesmith`` is the program `tunesmith`."""

from tunesmith.cli import main

main()
