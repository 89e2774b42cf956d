"""Write scikit-learn's 1,797 handwritten digits as PNG images: digits-images/0/0001.png, ...

Run:  python write_digits.py digits-images
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to; it gets a folder for each class")
    folder = parser.parse_args().folder
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = folder / str(label) / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        grey = np.uint8(np.round(pixels * 255 / 16))  # they have 17 levels
        Image.fromarray(grey).save(path)
    print(f"{len(digits.images)} images in {folder}, one folder for each of its 10 classes")


if __name__ == "__main__":
    main()
