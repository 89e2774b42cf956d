from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tunesmith.core.errors import JobError
from tunesmith.recipes.tabular.files import Known, Source, read

FRAME = pd.DataFrame({"size": [1.5, 2.25, -3.0], "kind": ["a", "b", "a"], "n": [1, 2, 3]})


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def same(found: Source, wanted: pd.DataFrame = FRAME) -> None:
    pd.testing.assert_frame_equal(found.frame, wanted, check_dtype=False, check_column_type=False)


# -- text ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_the_separator_is_found(tmp_path: Path, separator: str, ending: str) -> None:
    text = FRAME.to_csv(sep=separator, index=False, lineterminator=ending)
    same(read(written(tmp_path / "t.csv", text)))


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_decimal_commas(tmp_path: Path, separator: str) -> None:
    path = written(tmp_path / "t.csv", FRAME.to_csv(sep=separator, index=False, decimal=","))
    found = read(path)
    same(found)
    assert any("decimal commas" in notice for notice in found.notices)


def test_decimal_commas_beside_whole_numbers(tmp_path: Path) -> None:
    found = read(written(tmp_path / "t.csv", "a;b\n1,5;x\n2;y\n2,25;z\n"))
    assert found.frame["a"].tolist() == [1.5, 2.0, 2.25]


def test_lists_of_numbers_between_other_separators_are_no_decimals(tmp_path: Path) -> None:
    found = read(written(tmp_path / "t.csv", "a;b\n1,234,5;x\n2,7,1;y\n"))
    assert found.frame["a"].tolist() == ["1,234,5", "2,7,1"]


def test_quotes_with_separators_and_lines_in_them(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", 'name,note,n\n"Doe, J","two\nlines; yes",1\n"x ""y""",b,2\n')
    frame = read(path).frame
    assert frame["name"].tolist() == ["Doe, J", 'x "y"']
    assert frame["note"].tolist() == ["two\nlines; yes", "b"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_unicode(tmp_path: Path, encoding: str) -> None:
    found = read(written(tmp_path / "t.csv", "größe,städte\n1,Köln\n2,Łódź\n", encoding))
    assert list(found.frame.columns) == ["größe", "städte"]
    assert found.frame["städte"].tolist() == ["Köln", "Łódź"]
    assert found.notices == ()


def test_another_encoding_is_read_and_said(tmp_path: Path) -> None:
    found = read(written(tmp_path / "t.csv", "size,town\n1,Bonn\n2,Köln\n", "latin-1"))
    assert found.frame["town"].tolist() == ["Bonn", "Köln"]
    (notice,) = found.notices
    assert "latin-1" in notice
    assert "0xf6 in line 3" in notice


def test_gzip(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(FRAME.to_csv(index=False).encode()))
    same(read(path))


def test_blanks_around_fields_and_names_do_not_count(tmp_path: Path) -> None:
    same(read(written(tmp_path / "t.csv", " size, kind ,n\n1.5, a, 1\n2.25, b,2\n-3.0, a,3\n")))


def test_what_stands_for_a_missing_value(tmp_path: Path) -> None:
    frame = read(written(tmp_path / "t.csv", "a,b\n1,?\n,x\nNA,y\n")).frame
    assert frame["a"].isna().tolist() == [False, True, True]
    assert frame["b"].isna().tolist() == [True, False, False]


def test_columns_of_texts_are_read_as_they_stand(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "code ,flag,n\n01,TRUE,01\n02, FALSE,2\n?,,3\n")
    frame = read(path, Known(texts=["code", "flag", "gone"])).frame
    assert frame["code"].tolist()[:2] == ["01", "02"]
    assert frame["flag"].tolist()[:2] == ["TRUE", "FALSE"]
    assert frame[["code", "flag"]].isna().to_numpy().tolist() == [
        [False] * 2,
        [False] * 2,
        [True] * 2,
    ]
    assert frame["n"].tolist() == [1, 2, 3]


def test_none_is_a_class_among_texts_and_a_gap_among_numbers(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "pain , n,x\nNone,None,None\nmild,1,a\n NA,2,b\n,3,c\n")
    found = read(path, Known(target="pain"))
    assert found.frame["pain"].fillna("-").tolist() == ["None", "mild", "-", "-"]
    assert found.frame["x"].isna().tolist() == [True, False, False, False]
    assert found.notices == (
        "'NA' in 'pain' counts as missing; if it is a class, give it another name",
    )
    numbers = read(path, Known(target="n"))
    assert numbers.frame["n"].isna().tolist() == [True, False, False, False]
    assert numbers.notices == ()


def test_one_column(tmp_path: Path) -> None:
    assert read(written(tmp_path / "t.csv", "a\n1\n2\n")).frame["a"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.csv", "", "is empty"),
        ("t.csv", "\n \n", "is empty"),
        ("t.csv", "a,b\n", "has no rows"),
        ("t.csv", "a,b,a\n1,2,3\n", "column 'a' is there twice"),
        ("t.csv", "a,b\n1,2\n3,4\n5,6,7\n", "line 4 has 3 fields, not 2"),
        ("t.csv", "a,b\n1,2,3\n4,5,6\n", "line 2 has 3 fields, not 2"),
        ("t.csv", "a,b\n1,2\n3,\"4\n5,6\n", "quote"),
        ("t.xlsx", "PK", "its name has to end in one of .csv"),
        ("t", "a,b\n1,2\n", "its name has to end in one of .csv"),
    ],
)  # fmt: skip
def test_broken_text(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = written(tmp_path / name, text)
    with pytest.raises(JobError, match=said) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_a_separator_at_the_end_of_every_line_is_no_column(tmp_path: Path) -> None:
    frame = read(written(tmp_path / "t.csv", "a,b\n1,2,\n3,4,\n")).frame
    assert frame["a"].tolist() == [1, 3]
    assert frame["b"].tolist() == [2, 4]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (bytes(range(256)) * 20, "is no text"),
        (b"\xff\xfea\x00\n", "begins as UTF-16 and is none"),
        (bytes(range(1, 256)) * 2000, "is no text"),
    ],
)
def test_binary_junk(tmp_path: Path, raw: bytes, said: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(raw)
    with pytest.raises(JobError, match=said):
        read(path)


def test_a_long_line(tmp_path: Path) -> None:
    frame = read(written(tmp_path / "t.csv", "a,b\n1," + "x" * 300_000 + "\n2,y\n")).frame
    assert frame["a"].tolist() == [1, 2]


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:-10],
        lambda raw: raw[:30] + b"\xff" * 20 + raw[50:],
        lambda raw: b"no gzip at all",
    ],
)
def test_broken_gzip(tmp_path: Path, damage: Any) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(damage(gzip.compress(FRAME.to_csv(index=False).encode() * 50)))
    with pytest.raises(JobError, match="no gzip file, or broken"):
        read(path)


# -- binary -------------------------------------------------------------------------------------


def test_parquet_and_arrow(tmp_path: Path) -> None:
    FRAME.to_parquet(tmp_path / "t.parquet")
    FRAME.to_feather(tmp_path / "t.feather")
    same(read(tmp_path / "t.parquet"))
    same(read(tmp_path / "t.feather"))


def test_an_arrow_stream(tmp_path: Path) -> None:
    import pyarrow as pa

    table = pa.Table.from_pandas(FRAME)
    with (
        pa.OSFile(str(tmp_path / "t.arrow"), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as out,
    ):
        out.write_table(table)
    same(read(tmp_path / "t.arrow"))


def test_svmlight(tmp_path: Path) -> None:
    found = read(written(tmp_path / "t.svm", "1 1:0.5 3:2\n-1 2:1\n"))
    assert found.frame is None
    assert found.target.tolist() == [1, -1]
    np.testing.assert_array_equal(found.sparse.toarray(), [[0.5, 0, 2], [0, 1, 0]])


def test_svmlight_counts_features_from_0_or_1(tmp_path: Path) -> None:
    from_0 = read(written(tmp_path / "zero.svm", "1 0:5 1:6\n0 1:7\n"))
    from_1 = read(written(tmp_path / "one.svm", "1 1:5 2:6\n0 2:7\n"))
    assert (from_0.base, from_1.base) == (0, 1)
    np.testing.assert_array_equal(from_0.sparse.toarray(), [[5, 6], [0, 7]])
    np.testing.assert_array_equal(from_1.sparse.toarray(), [[5, 6], [0, 7]])
    known = read(tmp_path / "one.svm", Known(base=0))
    np.testing.assert_array_equal(known.sparse.toarray(), [[0, 5, 6], [0, 0, 7]])
    with pytest.raises(
        JobError, match="has a feature 0, and the model was trained with features from 1"
    ):
        read(tmp_path / "zero.svm", Known(base=1))


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.arrow", "t.svm"])
@pytest.mark.parametrize("raw", [b"\x00junk\xff" * 40, b"not,this\n1,2\n"])
def test_broken_binary_files(tmp_path: Path, name: str, raw: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(raw)
    with pytest.raises(JobError, match="cannot be read as") as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_a_cut_parquet_file(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    FRAME.to_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(JobError, match="cannot be read as Parquet"):
        read(path)


# -- what is no file ----------------------------------------------------------------------------


def test_a_missing_file_with_a_near_name(tmp_path: Path) -> None:
    written(tmp_path / "houses.csv", "a\n1\n")
    with pytest.raises(
        JobError, match=r"there is no file .*house\.csv; did you mean 'houses\.csv'"
    ):
        read(tmp_path / "house.csv")
    with pytest.raises(JobError, match="there is no file"):
        read(tmp_path / "nowhere" / "house.csv")


def test_a_folder_and_other_things(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="is a folder"):
        read(tmp_path)
    with pytest.raises(JobError, match="not list"):
        read([[1, 2]])


def test_a_frame_is_taken_as_it_is() -> None:
    same(read(FRAME))
    with pytest.raises(JobError, match="has no rows"):
        read(FRAME.head(0))


@pytest.mark.parametrize("names", [["a", "a"], ["a", " a"], [1, "1"]])
def test_a_frame_with_a_column_twice(names: list[Any]) -> None:
    with pytest.raises(JobError, match="is there twice"):
        read(pd.DataFrame([[1, 2]], columns=names))


def test_names_that_are_numbers_are_texts() -> None:
    assert list(read(pd.DataFrame([[1, 2]])).frame.columns) == ["0", "1"]


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    path = written(tmp_path / "t.csv", "a\n1\n")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(JobError, match=r"t\.csv cannot be read: Permission denied"):
        read(path)
