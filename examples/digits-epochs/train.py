"""Train a small neural network on scikit-learn's digits, epoch by epoch, with a checkpoint after each.

Alone it prints nothing and keeps nothing: save, restore and report are for whoever runs it.
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

import tunesmith


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--solver", choices=["sgd", "adam"], default="adam")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--l2", type=float, default=1e-4)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    images, labels = load_digits(return_X_y=True)
    images = StandardScaler().fit_transform(images)
    train_x, test_x, train_y, test_y = train_test_split(
        images, labels, test_size=0.3, random_state=0, stratify=labels
    )
    fresh = MLPClassifier(
        hidden_layer_sizes=(options.hidden,),
        solver=options.solver,
        learning_rate_init=options.learning_rate,
        momentum=options.momentum,
        batch_size=options.batch_size,
        alpha=options.l2,
        random_state=options.seed,
    )
    done, network = tunesmith.restore((0, fresh))
    for epoch in range(done + 1, options.epochs + 1):
        network.partial_fit(train_x, train_y, classes=np.arange(10))
        accuracy = network.score(test_x, test_y)
        tunesmith.save((epoch, network), step=epoch)
        tunesmith.report(step=epoch, accuracy=round(accuracy, 4))


if __name__ == "__main__":
    main()
