"""The values of one column of a DataFrame as texts, as numbers, and as the parts of dates."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import JobError
from tunesmith.recipes.tabular import dates

Floats = NDArray[np.float64]
#: So many different texts are few: a category always, and as many of those that could not be read are remembered.
FEW: Final = 30


def as_texts(present: Any) -> Any:
    """Values as texts: 3 and 3.0 are the same, and blanks around a text do not count."""
    import pandas as pd
    from pandas.api import types

    if types.infer_dtype(present) != "string":  # of other types, different values can be equal
        return present.astype(object).map(as_text).astype(object)
    codes, different = pd.factorize(present)
    texts = np.array(
        [str(value).strip() for value in np.asarray(different, dtype=object)], dtype=object
    )
    return pd.Series(texts[codes], present.index, dtype=object)


def as_text(value: Any) -> str:
    if isinstance(value, (float, np.floating)) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def distinct(texts: Any) -> tuple[list[str], NDArray[np.intp], NDArray[np.intp]]:
    """The different texts of a column, how often each is there, and which each row has."""
    import pandas as pd

    codes, different = pd.factorize(texts)
    return (
        np.asarray(different, dtype=object).tolist(),
        np.bincount(codes, minlength=len(different)),
        codes,
    )


def alike(texts: Any) -> str:
    """The first texts that are the same but for capitals, as ``'No' and 'no'``; empty if there are none."""
    seen: dict[str, str] = {}
    for text in texts:
        if not isinstance(text, str):
            continue
        other = seen.setdefault(text.casefold(), text)
        if other != text:
            return f"{other!r} and {text!r}"
    return ""


def commonest(texts: Any) -> tuple[str, ...]:
    return tuple(sorted(texts.value_counts().index[:FEW]))


def categorical() -> Any:
    import pandas as pd

    return pd.CategoricalDtype


def holds_numbers(series: Any) -> bool:
    """Whether a column's type is one of numbers, truth values or durations."""
    from pandas.api import types

    return bool(
        types.is_numeric_dtype(series) or types.is_bool_dtype(series) or holds_durations(series)
    )


def holds_durations(series: Any) -> bool:
    """Whether a column's type, of NumPy or of arrow, is one of durations."""
    return getattr(series.dtype, "kind", "") == "m"


def as_floats(series: Any) -> Floats:
    """A column of numbers (or durations, in seconds) as doubles; what is missing is NaN."""
    from pandas.api import types

    if holds_durations(series):
        series = series.dt.total_seconds()
    if types.is_complex_dtype(series):
        raise JobError(
            f"{series.name!r} holds complex numbers; give real and imaginary parts apart"
        )
    values: Floats = series.to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def parts_of(at: NDArray[np.datetime64]) -> dict[str, Floats]:
    import pandas as pd

    read = pd.Series(at)
    days = (read - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)
    parts = {
        "days": days, "year": read.dt.year, "month": read.dt.month, "day": read.dt.day,
        "weekday": read.dt.day_of_week, "hour": read.dt.hour,
    }  # fmt: skip
    return {p: v.to_numpy(dtype=np.float64, na_value=np.nan) for p, v in parts.items()}


def dates_written(texts: Any) -> str:
    """How the dates in a column of texts are written; empty if these are no dates."""
    values, counts, _ = distinct(texts)
    order = dates.find(values, counts)
    return "" if order is None else order.written
