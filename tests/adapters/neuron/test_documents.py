import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.adapters.neuron.documents import Documents

VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=4), VALUES, max_size=3)


def fed(documents: Documents, text: str, size: int = 7) -> list[dict[str, object]]:
    data = text.encode()
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return [found for piece in pieces for found in documents.feed(piece)]


@given(st.lists(OBJECTS, max_size=4), st.integers(1, 40), st.sampled_from([None, 1]))
def test_documents_come_out_as_they_went_in_wherever_they_are_cut(
    sent: list[dict[str, object]], size: int, indent: int | None
) -> None:
    documents = Documents()
    text = "\n".join(json.dumps(item, indent=indent) for item in sent)
    assert fed(documents, text, size) == sent
    assert (documents.skipped, documents.oversized) == (0, 0)


def test_documents_need_no_line_of_their_own() -> None:
    assert fed(Documents(), '{"a": 1}{"a": 2} {"a": 3}') == [{"a": 1}, {"a": 2}, {"a": 3}]


def test_an_unfinished_document_waits_for_its_end() -> None:
    documents = Documents()
    assert documents.feed(b'{"a": {"b": 1}, "c') == []
    assert documents.feed(b'": 2}') == [{"a": {"b": 1}, "c": 2}]


@pytest.mark.parametrize(
    "garbage",
    [
        "WARN something\n",
        "{not json}\n",
        "}}]]\n",
        '{"open": "string\n',
        "{{{{\n",
        '{"a": 1,}\n',
        "\x00\ufffd",
        '{"n": ' + "9" * 5000 + "}\n",
    ],
    ids=["words", "braces", "closed", "string", "open", "comma", "bytes", "digits"],
)
def test_garbage_between_documents_is_skipped_and_counted(garbage: str) -> None:
    documents = Documents()
    found = fed(documents, f'{{"a": 1}}\n{garbage}{{"a": 2}}\n')
    assert found == [{"a": 1}, {"a": 2}]
    assert documents.skipped > 0


def test_a_document_beyond_the_bound_is_dropped_and_counted_and_the_next_is_read() -> None:
    documents = Documents(largest=100)
    found = fed(documents, '{"big": [' + '{"a": 1}, ' * 100 + "\n" + '{"a": 2}\n')
    assert found == [{"a": 2}]
    assert documents.oversized == 1


def test_a_line_that_begins_a_million_objects_is_given_up_and_the_next_is_read() -> None:
    documents = Documents()
    assert documents.feed(b"{" * 1_000_000 + b'}\n{"a": 2}\n') == [{"a": 2}]
    assert 0 < documents.skipped < 1000


def test_objects_nested_beyond_measure_are_skipped() -> None:
    documents = Documents()
    documents.feed(b'{"a": ' * 100_000 + b"}")
    assert documents.skipped > 0
    assert documents.feed(b'\n{"a": 2}') == [{"a": 2}]


@given(st.lists(st.binary(max_size=60), max_size=30))
def test_whatever_comes_in_no_more_than_the_bound_is_kept(pieces: list[bytes]) -> None:
    documents = Documents(largest=50)
    for piece in pieces:
        for found in documents.feed(piece):
            assert isinstance(found, dict)
        assert documents.kept <= 50


def test_bytes_that_are_no_text_do_not_stop_the_stream() -> None:
    assert fed(Documents(), "") == []
    documents = Documents()
    assert documents.feed(b'\xff\xfe{"a": 1}') == [{"a": 1}]
