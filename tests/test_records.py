"""Files of records: every fault names its line and its field, and nothing is dropped in silence."""

import json

import pytest

from llmcourse import records


def write(tmp_path, content):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_what_was_written_is_read(tmp_path):
    rows = [{"text": "词元 one", "id": 3}, {"text": "two"}]
    path = write(tmp_path, "\n".join(json.dumps(r, ensure_ascii=False) for r in rows) + "\n\n")
    assert records.read_jsonl(path) == rows
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert records.read_jsonl(path) == rows


GOOD = '{"text": "a"}\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "rows.jsonl is empty"),
        ("\n \n", "rows.jsonl is empty"),
        (GOOD + '{"title": "b"}', "line 2: field 'text' is missing; it has 'title'"),
        (GOOD + "{}", "line 2: field 'text' is missing; it has none"),
        (GOOD * 2 + '{"text": 5}', "line 3: field 'text' must be text, got int"),
        (GOOD + '{"text": null}', "line 2: field 'text' must be text, got NoneType"),
        (GOOD + '{"text": " "}', "line 2: field 'text' is blank"),
        (GOOD + "[1]", "line 2: must be an object with fields, got list"),
        (GOOD + '{"text": "b"', "line 2: not JSON"),
        (GOOD + '{"text": "b", "score": NaN}', "line 2: field 'score' holds nan"),
        (GOOD + '{"text": -Infinity}', "line 2: field 'text' holds -inf"),
        (GOOD + '{"text": "b", "p": [0.5, [1e999]]}', "line 2: field 'p' holds inf"),
        (GOOD + '{"text": "b", "to": {"score": NaN}}', "line 2: field 'score' holds nan"),
        (GOOD + "NaN", "line 2: must be an object with fields, got float"),
        (GOOD + "\n" + GOOD, "line 2: blank, between two records"),
        (GOOD.encode() + b'{"text": "caf\xe9"}', "line 2: not UTF-8: byte 14 .* is 0xe9"),
    ],
)
def test_a_fault_is_named(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        records.read_jsonl(write(tmp_path, content))


def test_lengths_are_held_against_the_context():
    rows = [{"text": "abc"}, {"text": "abcdef"}, {"text": "abcdefgh"}]
    assert records.check_lengths(rows, str.encode, context=8)[0] == [97, 98, 99]
    with pytest.raises(ValueError, match=r"line 2: .* 6 tokens, the context is 5 \(2 of 3"):
        records.check_lengths(rows, str.encode, context=5)
