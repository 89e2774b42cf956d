"""Turns: first come, first served; who vanishes is passed over."""

from __future__ import annotations

import asyncio

from tunesmith.service.turns import Turns


def test_first_come_first_served() -> None:
    async def run() -> list[str]:
        turns, order = Turns(60.0), list[str]()

        async def work(name: str) -> None:
            assert await turns.take("study", name, 60.0)
            order.append(name)
            await asyncio.sleep(0)
            turns.give("study", name)

        await asyncio.gather(*(work(name) for name in "abcd"))
        assert await turns.take("study", "e", 0.0), "it is free"
        assert await turns.take("study", "e", 0.0), "it is mine"
        assert not await turns.take("study", "f", 0.01)
        assert await turns.take("other", "f", 0.0), "each study has its own"
        turns.give("study", "f")
        assert not await turns.take("study", "g", 0.0), "it was not f's to give"
        return order

    assert asyncio.run(run()) == ["a", "b", "c", "d"]


def test_who_vanishes_is_passed_over() -> None:
    async def run() -> None:
        turns = Turns(0.02)
        assert await turns.take("study", "vanished", 0.0)
        left = asyncio.create_task(turns.take("study", "left", 60.0))
        await asyncio.sleep(0)
        left.cancel()
        assert await turns.take("study", "next", 60.0)

    asyncio.run(run())
