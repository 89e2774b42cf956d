"""Configs reach programs nested, in the format that they read, in a copy of a file of their own."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tunesmith.core.errors import JobError
from tunesmith.run.config_file import ConfigFile, config_files, json_text

CONFIG: dict[str, Any] = {
    "model.lr": 1e-05,
    "model.depth": 3,
    "model.layers": [64, [1e-7, -2e22]],
    "optimizer": "no",
    "amp": True,
    "data.text": 'a "b"\\\n\x7f é😀',
    "data.table": {"a": {"b": 1.5}},
}
NESTED: dict[str, Any] = {
    "model": {"lr": 1e-05, "depth": 3, "layers": [64, [1e-7, -2e22]]},
    "optimizer": "no",
    "amp": True,
    "data": {"text": 'a "b"\\\n\x7f é😀', "table": {"a": {"b": 1.5}}},
}
#: PyYAML's float (yaml/resolver.py), the part with an exponent: a point and a sign are needed.
FLOAT_1_1 = re.compile(r"[-+]?[0-9][0-9_]*\.[0-9_]*[eE][-+][0-9]+")
EXPONENT = re.compile(r"(?<![\w\"])-?[\d.]+e[-+]?\d+")

TEMPLATE = """\
# how we train
defaults: &defaults
  lr: &lr 0.1          # the rate
  opt: {name: adam, beta: 1e-3}
model: &model
  <<: *defaults
  depth: 3
  flag: yes
teacher: *model
warmup: *lr
layers:
- width: 3
- width: 4
"a.b": 1
tag: !include other.yaml
"""


def read_1_1(text: str) -> Any:
    """As PyYAML reads it."""
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 1)
    return yaml.load(text)


def made(folder: Path, name: str, text: str) -> ConfigFile:
    (folder / name).write_text(text)
    return ConfigFile.of(name, folder)


class TestNested:
    def test_json(self, tmp_path: Path) -> None:
        text = ConfigFile.of("json", tmp_path).text(CONFIG)
        assert json.loads(text) == NESTED
        assert read_1_1(text) == NESTED

    def test_yaml(self, tmp_path: Path) -> None:
        text = ConfigFile.of("yaml", tmp_path).text(CONFIG)
        assert read_1_1(text) == NESTED
        assert YAML(typ="safe").load(text) == NESTED
        assert 'optimizer: "no"' in text

    def test_toml(self, tmp_path: Path) -> None:
        text = ConfigFile.of("toml", tmp_path).text({**CONFIG, "nothing": None})
        assert tomllib.loads(text) == NESTED, "null is left out"

    @pytest.mark.parametrize("form", ["json", "yaml"])
    def test_numbers_have_a_point(self, tmp_path: Path, form: str) -> None:
        numbers = EXPONENT.findall(ConfigFile.of(form, tmp_path).text(CONFIG))
        assert len(numbers) == 3
        assert all(FLOAT_1_1.fullmatch(number) for number in numbers)

    def test_texts_that_look_like_numbers_stay(self) -> None:
        assert json.loads(json_text({"a": "1e-05", "b": 'x "1e-05', "c": 1e-05})) == {
            "a": "1e-05", "b": 'x "1e-05', "c": 1e-05,
        }  # fmt: skip

    def test_one_name_inside_another_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(JobError, match=r"both model and model\.lr"):
            ConfigFile.of("yaml", tmp_path).check(["model", "model.lr"])


class TestTemplates:
    def test_keep_all_but_the_values(self, tmp_path: Path) -> None:
        file = made(tmp_path, "base.yaml", TEMPLATE)
        assert file.text({}) == TEMPLATE
        config = {"layers.1.width": -5e-07, "model.depth": 7, "a.b": "off"}
        lines = file.text(config).splitlines()
        changed = [line for line in lines if line not in TEMPLATE.splitlines()]
        assert changed == ["  depth: 7", "- width: -5.0e-07", '"a.b": "off"']

    def test_change_an_anchor_everywhere_and_an_alias_alone(self, tmp_path: Path) -> None:
        file = made(
            tmp_path,
            "base.yaml",
            TEMPLATE.replace("tag: !include other.yaml\n", "").replace("1e-3", "0.5"),
        )
        data = read_1_1(
            file.text({"defaults.lr": 1e-05, "teacher.depth": 9, "model.opt.name": "sgd"})
        )
        assert data["defaults"]["lr"] == data["warmup"] == data["model"]["lr"] == 1e-05
        assert (data["model"]["depth"], data["teacher"]["depth"]) == (3, 9)
        assert data["model"]["opt"] == {"name": "sgd", "beta": 0.5}
        assert data["defaults"]["opt"]["name"] == "adam"

    def test_in_json_and_toml(self, tmp_path: Path) -> None:
        nested = {"model": {"lr": 1, "kind": "mlp"}, "list": [{"x": 1}]}
        file = made(tmp_path, "base.json", json.dumps(nested))
        after = {"model": {"lr": 1e-05, "kind": "mlp"}, "list": [{"x": 2}]}
        assert json.loads(file.text({"model.lr": 1e-05, "list.0.x": 2})) == after
        toml = "top = 1979-05-27\n[model]\nlr = 1\nkind = 'mlp'\n[[list]]\nx = 1\n"
        file = made(tmp_path, "base.toml", toml)
        read = tomllib.loads(file.text({"model.lr": 1e-05, "list.0.x": 2}))
        assert read == {"top": tomllib.loads(toml)["top"], **after}

    def test_that_have_no_place(self, tmp_path: Path) -> None:
        file = made(tmp_path, "base.yaml", TEMPLATE)
        lacking = file.lacks(["model.lr", "model.dept", "model.depth.x", "layers.7.width"])
        assert list(lacking) == ["model.dept", "model.depth.x", "layers.7.width"]
        assert "did you mean 'model.depth'" in lacking["model.dept"]

    @pytest.mark.parametrize(
        ("name", "text", "words"),
        [
            ("base.yaml", "a: [", "base.yaml is no YAML"),
            ("base.yaml", "a: 1\n---\nb: 2\n", "it has 2 documents"),
            ("base.yaml", "- 1\n", "a mapping is needed"),
            ("base.json", "{", "base.json is no JSON"),
            ("base.toml", "= 1", "base.toml is no TOML"),
            ("base.ini", "", "is yaml, json, toml, or the path of a file"),
        ],
    )
    def test_that_cannot_be_used(self, tmp_path: Path, name: str, text: str, words: str) -> None:
        with pytest.raises(JobError) as caught:
            made(tmp_path, name, text)
        assert words in str(caught.value)

    def test_that_are_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(JobError, match=r"no\.yaml cannot be read"):
            ConfigFile.of("no.yaml", tmp_path)

    def test_of_one_name_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x").mkdir()
        for name in ("a.yaml", "x/a.yaml"):
            (tmp_path / name).write_text("a: 1\n")
        assert len(config_files(["a.yaml", "a.yaml", "yaml"], tmp_path)) == 2
        with pytest.raises(JobError, match=r"are both called a\.yaml"):
            config_files(["a.yaml", "x/a.yaml"], tmp_path)
