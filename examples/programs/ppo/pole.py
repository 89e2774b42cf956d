"""Balance a pole: policy gradients (REINFORCE) on a linear policy, in plain Python."""

import argparse
import math
import random
from collections import deque

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--learning-rate", type=float, default=0.05)
parser.add_argument("--anneal-lr", action=argparse.BooleanOptionalAction, default=True)
parser.add_argument("--gamma", type=float, default=0.99)
parser.add_argument("--num-episodes", type=int, default=120)
State = tuple[float, float, float, float]
options = parser.parse_args()
random.seed(options.seed)


def moved(state: State, push: bool) -> State:
    """The cart and pole of Barto, Sutton and Anderson (1983), 0.02 s later."""
    x, speed, angle, turn = state
    force = (10.0 if push else -10.0) + 0.05 * turn * turn * math.sin(angle)
    falling = 9.8 * math.sin(angle) - math.cos(angle) * force / 1.1
    falling /= 0.5 * (4 / 3 - 0.1 * math.cos(angle) ** 2 / 1.1)
    pushed = force / 1.1 - 0.05 * falling * math.cos(angle) / 1.1
    return x + 0.02 * speed, speed + 0.02 * pushed, angle + 0.02 * turn, turn + 0.02 * falling


weights, global_step = [0.0] * 4, 0
last: deque[int] = deque(maxlen=20)
for episode in range(options.num_episodes):
    x, speed, angle, turn = (random.uniform(-0.05, 0.05) for _ in range(4))
    state: State = (x, speed, angle, turn)
    steps: list[tuple[State, float]] = []
    while len(steps) < 200 and abs(state[0]) < 2.4 and abs(state[2]) < 0.21:
        score = sum(w * s for w, s in zip(weights, state, strict=True))
        right = 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))
        push = random.random() < right
        steps.append((state, push - right))
        state = moved(state, push)
    last.append(len(steps))
    global_step += len(steps)
    mean = sum(last) / len(last)
    print(f"global_step={global_step}, episodic_return={len(steps)}")
    rate = options.learning_rate
    if options.anneal_lr:
        rate *= 1 - episode / options.num_episodes
    value = 0.0
    for seen, surprise in reversed(steps):
        value = 1 + options.gamma * value
        better = value - mean / 2
        weights = [
            w + rate * better * surprise * s / len(steps)
            for w, s in zip(weights, seen, strict=True)
        ]
