"""Train a small neural network on scikit-learn's digits: an ordinary script, nothing of tunesmith in it.

Prints the accuracy of each cross-validation fold, and the mean at the end.
"""

import argparse
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, MinMaxScaler, StandardScaler


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--solver", choices=["sgd", "adam"], default="adam")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--l2", type=float, default=1e-4)
    parser.add_argument(
        "--scaling", choices=["none", "minmax", "standard", "binarize"], default="none"
    )
    parser.add_argument("--threshold", type=float, default=8.0, help="of --scaling binarize")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    scaling = {
        "none": None,
        "minmax": MinMaxScaler(),
        "standard": StandardScaler(),
        "binarize": Binarizer(threshold=options.threshold),
    }[options.scaling]
    network = MLPClassifier(
        hidden_layer_sizes=(options.hidden,),
        solver=options.solver,
        learning_rate_init=options.learning_rate,
        momentum=options.momentum,
        batch_size=options.batch_size,
        alpha=options.l2,
        max_iter=options.epochs,
        random_state=options.seed,
    )
    model = make_pipeline(scaling, network)
    warnings.simplefilter("ignore", ConvergenceWarning)

    images, labels = load_digits(return_X_y=True)
    folds = StratifiedKFold(n_splits=3, shuffle=True, random_state=0)
    scores: list[float] = []
    for fold, (train, test) in enumerate(folds.split(images, labels), 1):
        model.fit(images[train], labels[train])
        scores.append(model.score(images[test], labels[test]))
        print(f"fold={fold} accuracy={np.mean(scores):.4f}", flush=True)


if __name__ == "__main__":
    main()
