"""Write rings.txt: two rings, one around the other, as libsvm reads data. It is kept beside this file."""

import math
import random
from pathlib import Path

random.seed(3)
with (Path(__file__).parent / "rings.txt").open("w") as out:
    for i in range(120):
        angle, radius = random.uniform(0, 2 * math.pi), 1 + i % 2 + random.gauss(0, 0.35)
        out.write(f"{i % 2} 1:{radius * math.cos(angle):.3f} 2:{radius * math.sin(angle):.3f}\n")
