import csv
from pathlib import Path
from typing import get_args

import pytest

from tessera.adapters.document import BadDocument
from tessera.adapters.nvidia.xid import GRADED, XidClass, classify, read_xids, shipped

CATALOGUE = Path(__file__).parents[4] / "shared" / "reference" / "samples" / "nvml"


def overlay(folder: Path, text: str) -> Path:
    path = folder / "xids.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(BadDocument) as refused:
        read_xids(path)
    told = str(refused.value)
    assert "\n" not in told
    return told


def test_every_code_from_0_to_172_has_a_class_and_a_text() -> None:
    table = shipped()
    assert set(table.classes) == set(table.texts) == set(range(173))
    assert set(table.classes.values()) == set(get_args(XidClass))
    assert all(table.texts.values())


@pytest.mark.skipif(not CATALOGUE.is_dir(), reason="the vendors' samples are not here")
def test_every_code_of_the_vendors_catalogue_is_known() -> None:
    text = (CATALOGUE / "xid_catalogue.csv").read_text(encoding="utf-8")
    codes = {int(row["xid"]) for row in csv.DictReader(text.splitlines())}
    assert codes <= set(shipped().classes)


@pytest.mark.parametrize("code", [48, 64, 74, 79, 94, 95, 119, 140, 143, 171, 172])
def test_a_broken_device_is_accused(code: int) -> None:
    assert classify(code) == "hardware"


@pytest.mark.parametrize("code", [13, 31, 43, 45, 68, 109])
def test_a_programs_own_error_accuses_no_hardware(code: int) -> None:
    assert classify(code) == "application"


@pytest.mark.parametrize("code", [8, 63, 92, 173, 999, 12345])
def test_what_has_several_causes_or_is_not_known_is_ambiguous(code: int) -> None:
    assert classify(code) == "ambiguous"


@pytest.mark.parametrize("code", sorted(GRADED))
def test_a_graded_code_accuses_the_hardware_only_if_its_message_says_fatal(code: int) -> None:
    assert shipped().of(code, fatal=True) == "hardware"
    assert shipped().of(code, fatal=False) == "ambiguous"
    assert shipped().of(code) == "ambiguous"


def test_fatal_means_nothing_for_a_code_that_is_not_graded() -> None:
    assert shipped().of(13, fatal=True) == "application"


def test_an_operators_word_comes_before_ours_and_leaves_the_rest(tmp_path: Path) -> None:
    table = read_xids(overlay(tmp_path, '[class]\n79 = "application"\n145 = "ambiguous"\n'))
    assert table.of(79) == "application"
    assert table.of(145, fatal=True) == "ambiguous"
    assert table.of(95) == "hardware"
    assert table.text(79) == shipped().text(79)


def test_an_operator_may_name_a_code_that_we_do_not_know(tmp_path: Path) -> None:
    assert read_xids(overlay(tmp_path, '[class]\n"400" = "hardware"\n')).of(400) == "hardware"


def test_without_an_overlay_the_table_is_the_shipped_one(tmp_path: Path) -> None:
    assert read_xids() is shipped()
    assert read_xids(overlay(tmp_path, "")).classes == shipped().classes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[class]\n45 = "software"\n', "XID 45 is given the class 'software'; write one of"),
        ("[class]\n45 = 3\n", "XID 45 is given the class 3; write one of hardware"),
        ('[class]\nfive = "hardware"\n', "'five' is no XID; write a number, 0 to 9999"),
        ('[class]\n10000 = "hardware"\n', "'10000' is no XID"),
        ('[class]\n"-1" = "hardware"\n', "'-1' is no XID"),
        ('[clas]\n45 = "hardware"\n', "'clas' is no table of this file; write [class]"),
        ("class = 3\n", "'class' is not a table"),
        ("[class\n", "is not TOML"),
        ("x = " + "[" * 5000, "xids.toml: "),
    ],
)
def test_a_bad_overlay_is_one_line_that_says_where_and_what(
    tmp_path: Path, text: str, said: str
) -> None:
    told = refusal(overlay(tmp_path, text))
    assert told.startswith("xids.toml")
    assert said in told


def test_an_overlay_that_is_missing_or_no_text_is_one_line(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "xids.toml")
    (tmp_path / "xids.toml").write_bytes(b"\xff\xfe\xfa")
    assert "UTF-8" in refusal(tmp_path / "xids.toml")
