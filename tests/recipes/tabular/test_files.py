from __future__ import annotations

import bz2
import gzip
import importlib.util
import io
import lzma
import zipfile
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
def test_what_may_be_meant_otherwise_is_left_as_it_is_written(
    tmp_path: Path, separator: str
) -> None:
    path = written(tmp_path / "t.csv", FRAME.to_csv(sep=separator, index=False, decimal=","))
    source = read(path)
    assert source.separator == separator
    assert source.frame["size"].tolist() == ["1,5", "2,25", "-3,0"]
    assert source.frame["n"].tolist() == [1, 2, 3]
    zips = read(written(tmp_path / "z.csv", "zip,n\n01234,1\n90210,02\n")).frame
    assert zips["zip"].tolist() == ["01234", "90210"]
    assert read(written(tmp_path / "n.csv", "n\n7\n010\n")).frame["n"].tolist() == ["7", "010"]


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
    columns: dict[str, frozenset[str]] = dict.fromkeys(["code", "flag", "gone"], frozenset())
    frame = read(path, Known(columns=columns)).frame
    assert frame["code"].tolist()[:2] == ["01", "02"]
    assert frame["flag"].tolist()[:2] == ["TRUE", "FALSE"]
    assert frame[["code", "flag"]].isna().to_numpy().tolist() == [
        [False] * 2,
        [False] * 2,
        [True] * 2,
    ]
    assert frame["n"].tolist() == ["01", "2", "3"]
    frame = read(path, Known(columns={"n": frozenset(["?"])})).frame
    assert frame["flag"].isna().tolist() == [False, False, True]


def test_none_is_a_class_among_texts_and_a_gap_among_numbers(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "pain , n,x\nNone,None,None\nmild,1,a\n NA,2,b\n,3,c\n")
    found = read(path, Known(target="pain"))
    assert found.frame["pain"].fillna("-").tolist() == ["None", "mild", "-", "-"]
    assert found.frame["x"].isna().tolist() == [True, False, False, False]
    assert found.notices == (
        "'NA' in 'pain' counts as missing; if it is a class, give it another name",
        "'None' counts as missing in 'x'",
    )
    numbers = read(path, Known(target="n"))
    assert numbers.frame["n"].isna().tolist() == [True, False, False, False]
    assert numbers.notices == (
        "'NA' counts as missing in 'pain'",
        "'None' counts as missing in 'pain', 'x'",
    )


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
        ("t.xlxs", "PK", "its name has to end in one of .csv"),
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


# -- packed, and sheets -------------------------------------------------------------------------


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, raw in files.items():
            archive.writestr(name.replace("__", "/").replace("_csv", ".csv"), raw)
    return out.getvalue()


@pytest.mark.parametrize("packing", [".gz", ".bz2", ".xz", ".zip"])
@pytest.mark.parametrize("kind", [".csv", ".parquet"])
def test_packed_files(tmp_path: Path, packing: str, kind: str) -> None:
    plain = tmp_path / f"t{kind}"
    FRAME.to_csv(plain, index=False) if kind == ".csv" else FRAME.to_parquet(plain)
    pack: dict[str, Any] = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
    path = tmp_path / f"t{kind}{packing}"
    if packing == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(plain, f"inside/T{kind.upper()}")
            archive.writestr(f"__MACOSX/inside/._t{kind}", b"junk")
            archive.writestr("readme.md", b"junk")
        path = path.rename(tmp_path / "t.zip")
    else:
        path.write_bytes(pack[packing](plain.read_bytes()))
    same(read(path))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(JobError, match=r"is no .* file, or broken") as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_an_archive_holds_one_table(tmp_path: Path) -> None:
    path = tmp_path / "t.zip"
    path.write_bytes(zipped(a_csv=b"a\n1\n", b_csv=b"a\n1\n"))
    with pytest.raises(JobError, match=r"holds 2 tables \(a.csv, b.csv\); it has to be one"):
        read(path)
    path.write_bytes(zipped(**{"notes.md": b"a"}))
    with pytest.raises(JobError, match=r"holds no tables \(notes.md\)"):
        read(path)
    path.write_bytes(zipped(a_csv=b"a\n1\n", **{"readme.txt": b"hello"}))
    assert read(path).notices == ("'a.csv' is read, of the files in t.zip",)


@pytest.mark.parametrize("name", ["t.zip", "t.gz", "t.bz2", "t.xz", "t.csv.zip"])
def test_what_pandas_packs_is_read_though_the_table_has_no_ending(
    tmp_path: Path, name: str
) -> None:
    FRAME.to_csv(tmp_path / name, index=False)
    source = read(tmp_path / name)
    same(source)
    assert source.notices == ()


@pytest.mark.parametrize("url", ["file:///tmp/t.csv", "file:/tmp/t.csv", "FILE://tmp/t.csv"])
def test_a_url_of_a_file_names_the_file(url: str) -> None:
    with pytest.raises(JobError, match=r"name the file itself: /tmp/t\.csv"):
        read(url)


def test_tables_of_other_libraries() -> None:
    import pyarrow as pa

    same(read(pa.Table.from_pandas(FRAME, preserve_index=False)))


@pytest.mark.parametrize("first", ["sep=;\n", "\ufeffsep=;\r\n", '"sep=;"\n', "SEP=;;\n"])
def test_the_line_with_which_excel_names_the_separator(tmp_path: Path, first: str) -> None:
    source = read(written(tmp_path / "t.csv", first + "a,b;c\n1;x,y\n2;z\n"))
    assert source.frame.columns.tolist() == ["a,b", "c"]
    assert source.frame["c"].tolist() == ["x,y", "z"]


def test_empty_lines_of_one_column_are_rows(tmp_path: Path) -> None:
    source = read(written(tmp_path / "t.csv", "a\n1\n\n2\n \n"))
    assert source.frame["a"].fillna(-1).tolist() == [1, -1, 2, -1]
    assert source.notices == ("2 empty lines count as rows without a value",)
    assert read(written(tmp_path / "t.csv", "a\n1\n2\n")).notices == ()


def test_empty_and_short_lines_of_more_columns_are_said(tmp_path: Path) -> None:
    source = read(written(tmp_path / "t.csv", "sep=,\na,b,c\n1,2,3\n\n4,5\n6,7,\n\n"))
    assert source.frame["a"].tolist() == [1, 4, 6]
    assert source.notices == (
        "1 empty line (the first is line 4) is no row",
        "1 line has fewer fields than the header (the first is line 5): what is not there counts as missing",
    )
    assert read(written(tmp_path / "t.csv", 'a,b\n1,"x\n\ny"\n2,\n')).notices == ()


def sheet(path: Path, **tables: list[list[Any]]) -> Path:
    """A workbook, as small as it can be."""
    names = list(tables)
    cells = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    links = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    packages = "http://schemas.openxmlformats.org/package/2006"

    def cell(value: Any) -> str:
        if value is None:
            return "<c/>"
        if isinstance(value, bool):
            return f'<c t="b"><v>{int(value)}</v></c>'
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
        return f"<c><v>{value}</v></c>"

    with zipfile.ZipFile(path, "w") as book:
        kinds = "".join(
            f'<Override PartName="/xl/worksheets/s{k}.xml" ContentType="application/vnd.openxmlformats-officedocument.'
            'spreadsheetml.worksheet+xml"/>'
            for k, _ in enumerate(names)
        )
        book.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{packages}/content-types"><Default Extension="rels" ContentType="application/vnd.'
            'openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="application/'
            f'vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>{kinds}</Types>',
        )
        book.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{packages}/relationships"><Relationship Id="r" Type="{links}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        sheets = "".join(
            f'<sheet name="{n}" sheetId="{k + 1}" r:id="r{k}"/>' for k, n in enumerate(names)
        )
        book.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{cells}" xmlns:r="{links}"><sheets>{sheets}</sheets></workbook>',
        )
        targets = "".join(
            f'<Relationship Id="r{k}" Type="{links}/worksheet" Target="worksheets/s{k}.xml"/>'
            for k, _ in enumerate(names)
        )
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{packages}/relationships">{targets}</Relationships>',
        )
        for k, name in enumerate(names):
            rows = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in tables[name])
            book.writestr(
                f"xl/worksheets/s{k}.xml",
                f'<worksheet xmlns="{cells}"><sheetData>{rows}</sheetData></worksheet>',
            )
    return path


def test_sheets(tmp_path: Path) -> None:
    pytest.importorskip("python_calamine")
    rows: list[list[Any]] = [["size", "kind ", "n"], [1.5, "a", 1], [None, "b", 2], [-3, "#N/A", 3]]
    source = read(sheet(tmp_path / "t.xlsx", Empty=[], Data=rows, Notes=[["x"]]))
    assert source.frame.columns.tolist() == ["size", "kind", "n"]
    assert source.frame["size"].fillna(0).tolist() == [1.5, 0, -3]
    assert source.frame["kind"].fillna("-").tolist() == ["a", "b", "-"]
    assert source.notices == (
        "the sheet 'Data' is read, which is one of 3 (Empty, Data, Notes); --sheet NAME reads another",
    )
    (tmp_path / "b.xlsx").write_bytes(b"PK junk")
    with pytest.raises(JobError, match="cannot be read as a sheet"):
        read(tmp_path / "b.xlsx")


def test_sheets_need_their_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sheet(tmp_path / "t.xlsx", Data=[["a"], [1]])
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n: None if n == "python_calamine" else find(n)
    )
    with pytest.raises(JobError, match=r"python_calamine; .* pip install 'tunesmith\[excel\]'"):
        read(path)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://joe:secret@host.org/t.csv?token=abc", "https://host.org/t.csv is a URL"),
        ("https:/joe:secret@host.org/t.csv", "https://host.org/t.csv is a URL"),
        ("s3://bucket/t.parquet", "s3://bucket/t.parquet is a URL"),
    ],
)
def test_a_url_is_no_file_and_its_secrets_are_kept(url: str, shown: str) -> None:
    with pytest.raises(JobError, match=shown) as caught:
        read(url)
    assert "secret" not in str(caught.value)
    assert "abc" not in str(caught.value)


# -- the index of a frame -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["parquet", "arrow", "frame"])
def test_an_index_is_a_column_or_is_named_as_left_out(tmp_path: Path, kind: str) -> None:
    def through(frame: Any) -> Any:
        if kind == "frame":
            return read(frame)
        path = tmp_path / f"t.{kind}"
        if kind == "parquet":
            frame.to_parquet(path)
        else:
            import pyarrow as pa

            table = pa.Table.from_pandas(frame)
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as out:
                out.write_table(table)
        return read(path)

    dated = through(FRAME.set_index(pd.Index(["p", "q", "r"], name="town")))
    assert dated.frame.columns.tolist() == ["town", "size", "kind", "n"]
    assert dated.notices == ("the index 'town' is a column like any other",)
    named = through(FRAME.set_index(pd.Index(["p", "q", "r"])))
    same(Source("", named.frame))
    assert "the index has no name, and labels such as 'p': it is left out" in named.notices[0]
    taken = through(FRAME.iloc[[2, 0, 1]])
    assert len(taken.notices) == (kind != "frame")
    assert through(FRAME).notices == ()


def test_a_category_of_numbers_stays_one_in_parquet(tmp_path: Path) -> None:
    frame = FRAME.assign(kind=pd.Categorical([10, 20, 10]))
    frame.to_parquet(tmp_path / "t.parquet")
    assert isinstance(read(tmp_path / "t.parquet").frame["kind"].dtype, pd.CategoricalDtype)
