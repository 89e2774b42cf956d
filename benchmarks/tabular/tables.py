"""Eight data sets that packages ship, or that are made here: half classes, half numbers.

They come from scikit-learn, statsmodels and plotly; `make` splits one into a training part (three quarters)
and a held-out one by a seed. The column to predict is called ``target``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd

#: What each is judged by: log loss for classes, root mean squared error for numbers.
METRICS: Final = {"classes": "log_loss", "numbers": "rmse"}


def breast_cancer() -> pd.DataFrame:
    """Tumours, from 30 measures of their cells: 569 rows, 2 classes."""
    from sklearn import datasets

    frame: pd.DataFrame = datasets.load_breast_cancer(as_frame=True).frame
    return frame


def digits() -> pd.DataFrame:
    """Handwritten digits, from 64 pixels: 1,797 rows, 10 classes."""
    from sklearn import datasets

    frame: pd.DataFrame = datasets.load_digits(as_frame=True).frame
    return frame


def diabetes() -> pd.DataFrame:
    """How a disease goes on, from 10 measures: 442 rows."""
    from sklearn import datasets

    frame: pd.DataFrame = datasets.load_diabetes(as_frame=True).frame
    return frame


def fair() -> pd.DataFrame:
    """Whether somebody has had an affair, from 8 answers: 6,366 rows, 2 classes."""
    import statsmodels.api as sm

    frame: pd.DataFrame = sm.datasets.fair.load_pandas().data
    target = np.where(frame.pop("affairs") > 0, "yes", "no")
    return frame.assign(target=target)


def schools() -> pd.DataFrame:
    """The share of pupils above the median in mathematics, from 20 facts about a school district: 303 rows."""
    import statsmodels.api as sm

    frame: pd.DataFrame = sm.datasets.star98.load_pandas().data
    above, below = frame.pop("NABOVE"), frame.pop("NBELOW")
    return frame.assign(target=above / (above + below))


def gapminder() -> pd.DataFrame:
    """Life expectancy, from country, continent, year, population and income: 1,704 rows, texts among them."""
    import plotly.express as px

    frame: pd.DataFrame = px.data.gapminder()
    return frame.drop(columns=["iso_alpha", "iso_num"]).rename(columns={"lifeExp": "target"})


def friedman() -> pd.DataFrame:
    """Friedman's first function of 5 numbers, 15 more that do not matter, and noise: 3,000 rows; made."""
    from sklearn.datasets import make_friedman1

    x, y = make_friedman1(3000, 20, noise=2.0, random_state=11)
    return pd.DataFrame(x, columns=[f"x{k}" for k in range(20)]).assign(target=y)


def holes() -> pd.DataFrame:
    """Three classes from numbers and categories, a tenth of them missing, a tenth of the labels wrong: 4,000
    rows; made."""
    from sklearn.datasets import make_classification

    x, y = make_classification(
        4000, 16, n_informative=9, n_redundant=3, n_classes=3, n_clusters_per_class=3, flip_y=0.1,
        class_sep=0.9, random_state=12,
    )  # fmt: skip
    rng = np.random.default_rng(13)
    frame = pd.DataFrame(x, columns=[f"x{k}" for k in range(16)])
    for name in ("x0", "x5", "x9"):
        frame[name] = pd.qcut(frame[name], 6, labels=list("abcdef")).astype(object)
    frame = frame.mask(rng.random(frame.shape) < 0.1)
    return frame.assign(target=np.array(["low", "middle", "high"])[y])


TABLES: Final[dict[str, Callable[[], Any]]] = {
    "breast_cancer": breast_cancer, "digits": digits, "fair": fair, "holes": holes,
    "diabetes": diabetes, "schools": schools, "gapminder": gapminder, "friedman": friedman,
}  # fmt: skip


def make(name: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """The training and the held-out rows, and the metric."""
    from sklearn.model_selection import train_test_split

    frame = TABLES[name]()
    kind = "classes" if frame["target"].nunique() <= 10 else "numbers"
    learned, held_out = train_test_split(
        frame,
        test_size=0.25,
        random_state=seed,
        stratify=frame["target"] if kind == "classes" else None,
    )
    return learned.reset_index(drop=True), held_out.reset_index(drop=True), METRICS[kind]
