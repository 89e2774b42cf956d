"""The group of all commands, which knows to which of them an option belongs."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class Commands(TyperGroup):
    """Names the commands that have an option which another one has been called with."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            if type(error).__name__ == "NoSuchOption":  # Click's, or the one of Typer's own Click
                unknown: Any = error
                if owners := self._owners(unknown.option_name):
                    unknown.message += f"; it belongs to {owners}"
            raise

    def _owners(self, option: str) -> str:
        names = [
            f"tunesmith {name}"
            for name, command in self.commands.items()
            if any(option in parameter.opts for parameter in command.params)
        ]
        return " and ".join(names) if len(names) <= 2 else ""
