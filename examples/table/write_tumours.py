"""Write scikit-learn's 569 breast tumours as a table: tumours.csv, to predict the column ``diagnosis``.

Run:  python write_tumours.py tumours.csv
"""

import argparse
from pathlib import Path

from sklearn.datasets import load_breast_cancer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="where to")
    file = parser.parse_args().file
    tumours = load_breast_cancer(as_frame=True)
    table = tumours.data.assign(diagnosis=tumours.target_names[tumours.target])
    table.to_csv(file, index=False)
    print(f"{len(table)} rows in {file}; the column 'diagnosis' is to be predicted")


if __name__ == "__main__":
    main()
