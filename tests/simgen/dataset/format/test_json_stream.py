"""The reader of long JSON gives what `json.loads` gives, in pieces, and holds no more than a window."""

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simgen.dataset.format import json_stream
from simgen.dataset.format.json_stream import object_items

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def read(text, limit=1000):
    result, elements = {}, []
    for key, value, is_element in object_items(io.StringIO(text), "long", limit):
        elements.append(value) if is_element else result.update({key: value})
    if result.get("long") == []:
        result["long"] = elements
    return result


@settings(deadline=None)
@given(
    st.dictionaries(st.text(max_size=3), VALUES, max_size=3),
    st.lists(VALUES, max_size=5),
    st.sampled_from([None, 1]),
    st.integers(1, 9),
)
def test_it_reads_what_json_reads_however_narrow_the_window(others, elements, indent, chunk):
    text = json.dumps({**others, "long": elements}, indent=indent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK_CHARS", chunk)
        assert read(text, limit=10**6) == json.loads(text)


BROKEN = [
    "", "  ", "[", "3", "[]", '"a"', "{", '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', '{"a" 1}', "{a:1}", "{1:2}",
    '{"a":1}}', '{"a":1} x', '{"a":1,"a":2}', '{"long":[1,]}', '{"long":[1', '{"long":[1 2]}', '{"long":[,1]}',
    '{"long":1,"long":[]}', '{"a":tru}', '{"a":01}', "{,}",
]  # fmt: skip


@pytest.mark.parametrize("text", BROKEN)
def test_what_is_no_object_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        read(text)


def test_one_value_may_not_be_larger_than_the_limit(monkeypatch):
    monkeypatch.setattr(json_stream, "CHUNK_CHARS", 50)
    assert len(read(json.dumps({"long": ["x" * 50] * 100}), limit=60)["long"]) == 100
    for text in (json.dumps({"a": "x" * 1000}), json.dumps({"long": [["x" * 10] * 100]}), '{"' + "x" * 1000):
        with pytest.raises(ValueError, match=r"more than 60 characters"):
            read(text, limit=60)


def test_a_long_list_is_read_in_a_window(monkeypatch):
    """However long the list, no more than a chunk more than asked for was read when an element comes."""
    monkeypatch.setattr(json_stream, "CHUNK_CHARS", 100)
    file = io.StringIO(json.dumps({"long": list(range(10_000))}))
    for _, value, is_element in object_items(file, "long", 1000):
        if is_element and value < 9_000:
            assert file.tell() < 10 * value + 300
