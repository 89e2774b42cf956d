"""Twelve data sets that packages ship, or that are made here: half classes, half numbers.

They come from scikit-learn, statsmodels and plotly; `make` splits one into a training part (three quarters)
and a held-out one by a seed. The column to predict is called ``target``. Six are as people's tables are: with groups
(gapminder, visits), an order in time (sales), weights (schools), texts (reviews) or numbers as people write them (houses).
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
    return frame.assign(target=above / (above + below), pupils=above + below)


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


def visits() -> pd.DataFrame:
    """Whether a patient is ill, from 12 measures that say more of who it is: 1,600 rows of 200 patients; made."""
    rng = np.random.default_rng(14)
    who = np.repeat(np.arange(200), 8)
    centre = rng.normal(size=(200, 12))
    ill = centre[:, 0] + centre[:, 1] + 1.5 * rng.normal(size=200) > 0
    frame = pd.DataFrame(centre[who] + 0.3 * rng.normal(size=(1600, 12))).add_prefix("m")
    return frame.assign(patient=[f"p{k}" for k in who], target=np.where(ill[who], "ill", "well"))


def sales() -> pd.DataFrame:
    """Sales of a day, from weekday, price and weather, which drift: 1,500 rows; made."""
    rng = np.random.default_rng(15)
    day = pd.date_range("2019-01-01", periods=1500)
    price, sun = rng.uniform(1, 3, 1500), rng.normal(size=1500)
    level = 100 + np.cumsum(rng.normal(0, 1, 1500))
    weekday = np.array([0, 0, 2, 3, 10, 20, -5])[day.day_of_week]
    last = np.r_[level[0], level[:-1]] + rng.normal(0, 2, 1500)
    target = level + weekday - 10 * price + 5 * sun + rng.normal(0, 3, 1500)
    return pd.DataFrame({"day": day, "price": price, "sun": sun, "before": last, "target": target})


def reviews() -> pd.DataFrame:
    """Whether a review is good, from its words, of which some deny others, and its length: 2,000 rows; made."""
    rng = np.random.default_rng(16)
    words = [f"{a}{b}" for a in ("film", "story", "music", "scene", "cast") for b in "abcdefghij"]
    good = ["great", "lovely", "superb", "moving", "clever"]
    bad = ["awful", "dull", "clumsy", "boring", "broken"]
    texts, target = [], []
    for _ in range(2000):
        says = rng.choice([1, -1], 4)
        parts = list(rng.choice(words, rng.integers(6, 25)))
        for sign in says:
            denied = rng.random() < 0.25
            word = rng.choice(good if sign > 0 else bad)
            parts.insert(rng.integers(len(parts)), f"not {word}" if denied else word)
            target.append(-sign if denied else sign)
        texts.append(" ".join(parts))
    worth = np.array(target).reshape(-1, 4).sum(axis=1) + rng.normal(0, 1, 2000)
    return pd.DataFrame({"review": texts, "target": np.where(worth > 0, "good", "bad")})


def houses() -> pd.DataFrame:
    """Prices of houses, from numbers and dates as people write them: 1,200 rows; made."""
    rng = np.random.default_rng(17)
    area, rooms = rng.gamma(9, 14, 1200), rng.integers(1, 8, 1200)
    sold = pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, 1500, 1200), unit="D")
    zone, tax = rng.integers(0, 12, 1200), rng.gamma(3, 900, 1200)
    price = (
        2000 * area + 9000 * rooms + 3 * tax + 4e4 * np.sin(zone) + 60 * (sold.year - 2020) * area
    )
    return pd.DataFrame(
        {
            "area": [f"{v:,.1f} m²" for v in area],
            "rooms": [str(k) if k < 7 else "many" for k in rooms],
            "tax": [f"${v:,.2f}" for v in tax],
            "sold": sold.strftime("%m/%d/%Y"),
            "zip": [f"0{k:04d}" for k in 1000 + zone],
            "target": price / 1000 * np.exp(0.1 * rng.normal(size=1200)),
        }
    )


#: What has to be said of a table: which columns bind its rows together, by option.
OPTIONS: Final[dict[str, dict[str, str]]] = {
    "gapminder": {"group": "country"}, "visits": {"group": "patient"}, "sales": {"time_column": "day"},
    "schools": {"weight": "pupils"},
}  # fmt: skip

TABLES: Final[dict[str, Callable[[], Any]]] = {
    "breast_cancer": breast_cancer, "digits": digits, "fair": fair, "holes": holes,
    "diabetes": diabetes, "schools": schools, "gapminder": gapminder, "friedman": friedman,
    "visits": visits, "reviews": reviews, "sales": sales, "houses": houses,
}  # fmt: skip


def make(name: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """The training and the held-out rows, and the metric."""
    from sklearn.model_selection import train_test_split

    frame, options = TABLES[name](), OPTIONS.get(name, {})
    kind = "classes" if frame["target"].nunique() <= 10 else "numbers"
    if "time_column" in options:
        ordered = frame.sort_values(options["time_column"])
        at = 3 * len(ordered) // 4
        learned, held_out = ordered.iloc[:at], ordered.iloc[at:]
    elif "group" in options:
        groups = frame[options["group"]]
        out = np.random.default_rng(seed).permutation(groups.unique())[: groups.nunique() // 4]
        learned, held_out = frame[~groups.isin(out)], frame[groups.isin(out)]
    else:
        learned, held_out = train_test_split(
            frame,
            test_size=0.25,
            random_state=seed,
            stratify=frame["target"] if kind == "classes" else None,
        )
    return learned.reset_index(drop=True), held_out.reset_index(drop=True), METRICS[kind]
