"""The text format of Prometheus exporters, by cases of its own specification."""

from contextlib import suppress
from math import inf, isnan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.adapters.exposition import LONGEST, BadExposition, Sample, parse

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "reference" / "samples" / "dcgm"
NAMES = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]*", fullmatch=True)
LABELS = st.dictionaries(st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]*", fullmatch=True), st.text())


def only(line: str) -> Sample:
    (sample,) = parse(line).samples
    return sample


def written(sample: Sample) -> str:
    """Return the line that an exporter writes for ``sample``."""
    escaped = {
        name: text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        for name, text in sample.labels.items()
    }
    within = ",".join(f'{name}="{text}"' for name, text in escaped.items())
    return f"{sample.name}{{{within}}} {sample.value!r}"


@pytest.mark.parametrize(
    ("line", "name", "labels", "value"),
    [
        ("up 1", "up", {}, 1.0),
        ("up\t1", "up", {}, 1.0),
        ("up{} 1", "up", {}, 1.0),
        ("up{}1", "up", {}, 1.0),
        ('a:b{x="1"} 2.5e-3', "a:b", {"x": "1"}, 0.0025),
        ('m{a="1", b="2"} 3', "m", {"a": "1", "b": "2"}, 3.0),
        ('m{a="1",b="2",} 3', "m", {"a": "1", "b": "2"}, 3.0),
        ('m { a = "1" } 3', "m", {"a": "1"}, 3.0),
        ('m{a="say \\"hi\\""} 1', "m", {"a": 'say "hi"'}, 1.0),
        ('m{a="C:\\\\dir\\nnext"} 1', "m", {"a": "C:\\dir\nnext"}, 1.0),
        ('m{a="b} 2 # {c=\\"d\\"}"} 1', "m", {"a": 'b} 2 # {c="d"}'}, 1.0),
        ('m{a="x,y=z"} 1', "m", {"a": "x,y=z"}, 1.0),
        ("m 1 1700000000000", "m", {}, 1.0),
        ("m 1 -5", "m", {}, 1.0),
        ('m{le="1"} 17 # {trace="9"} 0.67 1700000000.1', "m", {"le": "1"}, 17.0),
        ("m +Inf", "m", {}, inf),
        ("m -Inf", "m", {}, -inf),
        ("  m 1  \r", "m", {}, 1.0),
        ('m{a="größe"} 1', "m", {"a": "größe"}, 1.0),
    ],
)
def test_a_line_is_read_as_the_format_says(
    line: str, name: str, labels: dict[str, str], value: float
) -> None:
    assert only(line) == Sample(name, labels, value)


def test_a_value_may_be_no_number() -> None:
    assert isnan(only("m NaN").value)


@pytest.mark.parametrize(
    "line",
    [
        "...",
        "curl localhost:9400/metrics",
        "m",
        "m{} ",
        "9m 1",
        "m one",
        "m 1_000",
        "m 1 2 3",
        "m{a=1} 1",
        'm{a="1} 1',
        'm{a="1"b="2"} 1',
        'm{a="1",a="2"} 1',
        "m{,} 1",
        'm{a="1"} 1} 2',
        "m \u0661",
    ],
)
def test_a_line_that_is_no_sample_is_counted_and_the_others_are_read(line: str) -> None:
    page = parse(f"before 1\n{line}\n# HELP after said\nafter 2\n")
    assert [sample.name for sample in page.samples] == ["before", "after"]
    assert page.bad_lines == 1


def test_an_error_page_is_no_page_of_samples() -> None:
    with pytest.raises(BadExposition, match="a line reads '<html>'"):
        parse("<html>\n<body>502 Bad Gateway</body>\n</html>\n")


def test_a_page_without_samples_is_empty() -> None:
    assert parse("").samples == ()
    assert parse("# HELP m what\n# TYPE m gauge\n").samples == ()


def test_a_page_beyond_the_limit_is_refused() -> None:
    with pytest.raises(BadExposition, match="longer than"):
        parse("#" * (LONGEST + 1))


@given(NAMES, LABELS, st.floats(allow_nan=False))
def test_what_an_exporter_writes_is_what_is_read(
    name: str, labels: dict[str, str], value: float
) -> None:
    sample = Sample(name, labels, value)
    assert only(written(sample)) == sample


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(BadExposition):
        page = parse(text)
        assert page.bad_lines <= len(page.samples)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="../shared/reference/samples is not there")
@pytest.mark.parametrize(
    ("file", "samples", "bad"),
    [
        ("metrics_gb200_nvlink5.txt", 3, 0),
        ("metrics_label_Hostname_2024.txt", 2, 0),
        ("metrics_label_hostname_2026_mig_pod.txt", 3, 0),
        ("metrics_v100_no_pci_label_2023.txt", 3, 0),
    ],
)
def test_pages_seen_in_the_field_are_read(file: str, samples: int, bad: int) -> None:
    page = parse((SAMPLES / file).read_text(encoding="utf-8"))
    assert (len(page.samples), page.bad_lines) == (samples, bad)
