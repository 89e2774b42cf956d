"""Tables as people have them, from the file to the prediction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tunesmith.core.errors import JobError
from tunesmith.recipes.tabular.data import load

rng = np.random.default_rng(0)
ROWS = 120
A = rng.normal(size=ROWS).round(3)


def fitted(path: Path, **options: Any) -> Any:
    from tunesmith.recipes.tabular import model
    from tunesmith.recipes.tabular.train import fit

    data = load(path, "y", **options)
    config = {"algorithm": "linear", "linear.C": 100.0, "linear.l1_ratio": 0.0, "scale": "standard", "impute": "median", "encode": "one_hot"}  # fmt: skip
    pipes = [fit(config, data, seed=0)]
    folder = path.with_name("m")
    folder.mkdir()
    about = {
        "task": data.task, "target": data.target, "classes": list(data.classes), "sparse": data.sparse, "base": data.base,
        "columns": [c.to_dict() for c in data.columns], "left_out": list(data.left_out),
        "notices": list(data.notices), "versions": {},
        "members": [{"weight": 1.0, **model.member_about(pipe)} for pipe in pipes],
    }  # fmt: skip
    return model.Fitted(folder, model.write(folder, about, pipes, data.x[:5], print))


def test_a_date_that_fits_two_orders_is_said_and_what_does_not_fit_later_is_an_error(
    tmp_path: Path,
) -> None:
    days = pd.date_range("2014-01-01", periods=ROWS, freq="MS")
    frame = pd.DataFrame({"when": days.strftime("%d/%m/%Y"), "y": days.month * 10.0})
    frame["a"] = A
    frame.to_csv(tmp_path / "d.csv", index=False)
    (tmp_path / "q.csv").write_text("a,when\n0,05/06/2023\n0,15/06/2023\n0,25/12/2023\n")
    model = fitted(tmp_path / "d.csv")
    assert "cannot be told; taken with the month first" in " ".join(model.notices)
    with pytest.raises(
        JobError, match="2 values of 'when' cannot be read as dates such as 12/31/2024"
    ):
        model.predict(tmp_path / "q.csv")
    (tmp_path / "day").mkdir()
    frame.to_csv(tmp_path / "day" / "d.csv", index=False)
    model = fitted(tmp_path / "day" / "d.csv", dates="day-first")
    np.testing.assert_allclose(model.predict(tmp_path / "q.csv"), [60, 60, 120], atol=3)


def test_an_empty_line_of_one_column_has_its_prediction(tmp_path: Path) -> None:
    pd.DataFrame({"a": A, "y": 2 * A}).to_csv(tmp_path / "d.csv", index=False)
    (tmp_path / "q.csv").write_text("a\n1.0\n\n-1.0\n")
    said: list[str] = []
    values = [
        row["y"] for row in fitted(tmp_path / "d.csv").rows(tmp_path / "q.csv", say=said.append)
    ]
    np.testing.assert_allclose([values[0], values[2]], [2, -2], atol=0.1)
    assert len(values) == 3
    assert said == ["note: 1 empty line counts as a row without a value"]


def test_a_table_with_decimal_commas_is_read_throughout(tmp_path: Path) -> None:
    amounts = np.exp(rng.normal(8, 1.5, ROWS))

    def german(values: Any) -> list[str]:
        return [f"{v:,.2f}".translate(str.maketrans(",.", ".,")) for v in values]

    frame = pd.DataFrame({"v": german(amounts), "a": german(A), "y": german(2 * amounts)})
    frame.to_csv(tmp_path / "d.csv", index=False, sep=";")
    data = load(tmp_path / "d.csv", "y")
    assert data.task == "regression"
    np.testing.assert_allclose(data.y, (2 * amounts).round(2))
    np.testing.assert_allclose(data.x[:, 0], amounts.round(2))
    # in new rows that have whole thousands only, a point is no decimal one
    (tmp_path / "q.csv").write_text("v;a\n1.500;0,1\n")
    (tmp_path / "p.csv").write_text("v;a\n1500;0,1\n")
    model = fitted(tmp_path / "d.csv")
    np.testing.assert_allclose(model.predict(tmp_path / "q.csv"), model.predict(tmp_path / "p.csv"))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_post_codes_stay_what_they_are_from_file_to_file(tmp_path: Path, kind: str) -> None:
    codes = np.resize(["01234", "10001", "90210", "00501"], ROWS)
    frame = pd.DataFrame(
        {"a": A, "zip": codes, "kind": pd.Categorical(np.resize([10, 20, 30], ROWS))}
    )
    frame["y"] = np.where(codes == "01234", 5.0, 1.0) + 0.01 * A
    path = tmp_path / f"d.{kind}"
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    model = fitted(path)
    kinds = {c.name: c.kind for c in model.columns}
    assert kinds["zip"] == "category"
    assert kinds["kind"] == ("category" if kind == "parquet" else "number")
    (tmp_path / "q.csv").write_text("a,zip,kind\n0,01234,10\n0,90210,10\n")
    np.testing.assert_allclose(model.predict(tmp_path / "q.csv"), [5, 1], atol=0.2)
