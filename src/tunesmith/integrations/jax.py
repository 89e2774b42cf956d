"""JAX, and what is built on it (Flax, Equinox, Optax): a training loop that reports, keeps its state, and ends when it is to.

    loop = Loop(trial, epochs=50, state=(params, optimizer_state))
    for epoch in loop:
        loop.state, loss = update(loop.state, batch)
        loop.report(loss=loss)

Needs JAX 0.4.30 or later: ``pip install 'tunesmith[jax]'``.
"""

from __future__ import annotations

from typing import Any

import jax

from tunesmith.integrations import loop
from tunesmith.run.live import LiveTrial


class Loop(loop.Loop):
    """See `tunesmith.integrations.loop.Loop`. `state` is any pytree; it is kept as NumPy's arrays, in main memory."""

    def __init__(self, trial: LiveTrial | None, epochs: int, state: Any) -> None:
        self.state = state
        super().__init__(trial, epochs, self._taken_out, self._put_back)

    def _taken_out(self) -> Any:
        return [jax.device_get(leaf) for leaf in jax.tree.leaves(self.state)]

    def _put_back(self, leaves: Any) -> None:
        old, structure = jax.tree.flatten(self.state)
        if len(old) != len(leaves):
            raise ValueError(
                f"the state that was kept has {len(leaves)} arrays, and this one {len(old)}: it is another model's"
            )
        self.state = jax.tree.unflatten(structure, leaves)
