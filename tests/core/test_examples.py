"""Per-example records survive their file, and a wrong file is refused."""

import gzip
import hashlib
import json
import math

import pytest
from example_records import measured_record, rows

from pytest_quantcheck.core.examples import key_of, pack, to_line, unpack
from pytest_quantcheck.errors import UsageError


def saved(*records):
    data = pack(map(to_line, records))
    return data, hashlib.sha256(data).hexdigest()


def test_records_come_back_as_they_were():
    odd = measured_record(
        rows("perplexity", [0.1 + 0.2, math.inf], weights=[3.0, 4.0]),
        rows("accuracy", [1.0, 0.0], bounds=[0.0, 1.0]),
        reference="a" * 16,
        clusters=[0, 0],
        slices=[None, "billing"],
        outputs=["line\nbreak \u2028 and \ud800 half", "\x1b[31m"],
        margins=[None, -0.5],
        n_tokens=[3, None],
    )
    data, sha256 = saved(odd, measured_record(rows("accuracy", [1.0])))

    found = unpack(data, sha256=sha256, place="run")

    assert found[key_of(to_line(odd))] == odd
    assert len(found) == 2


def test_equal_lines_in_any_order_make_equal_files():
    lines = [
        to_line(measured_record(rows("accuracy", [float(i)]), variant=f"v{i}")) for i in range(5)
    ]

    assert pack(lines) == pack([*reversed(lines), lines[2]])
    assert pack(lines) != pack(lines[1:])


def test_the_file_is_lines_of_strict_json():
    data, _ = saved(measured_record(rows("accuracy", [-math.inf, math.nan])))

    header, line = gzip.decompress(data).decode("ascii").splitlines()

    def refuse(constant):
        raise AssertionError(constant)

    assert json.loads(header) == {"content": "quantcheck examples", "schema_version": 1}
    assert json.loads(line, parse_constant=refuse)["scores"][0]["values"] == ["-inf", "nan"]


def test_rows_have_ids_clusters_and_weights():
    parts = rows("perplexity", [1.0, 2.0, 3.0], ids=["e0#1", "e0#2", "e1#1"], weights=[5.0] * 3)
    both = measured_record(rows("accuracy", [1.0, 0.0]), parts, clusters=[4, 4])

    whole, split = both.rows_of("accuracy"), both.rows_of("perplexity")

    assert (whole.ids, whole.clusters, whole.weights) == (["e0", "e1"], [4, 4], [1.0, 1.0])
    assert (split.ids, split.clusters, split.weights) == (["e0#1", "e0#2", "e1#1"], None, [5.0] * 3)
    assert both.rows_of("score") is None


def test_a_changed_file_is_refused():
    data, sha256 = saved(measured_record(rows("accuracy", [1.0])))

    with pytest.raises(UsageError, match=r"run\.gz: its sha256 is .*belongs to another run"):
        unpack(data[:-1], sha256=sha256, place="run.gz")


@pytest.mark.parametrize(
    "data",
    [b"no gzip", gzip.compress(b"no json\n"), gzip.compress(b"\xff"), gzip.compress(b"")],
    ids=["plain", "text", "bytes", "empty"],
)
def test_what_is_no_such_file_is_refused(data):
    with pytest.raises(UsageError, match=r"run\.gz: expected lines of JSON"):
        unpack(data, sha256=hashlib.sha256(data).hexdigest(), place="run.gz")


def test_a_truncated_file_is_refused():
    data = saved(measured_record(rows("accuracy", [1.0])))[0][:-4]

    with pytest.raises(UsageError, match="expected lines of JSON, compressed by gzip"):
        unpack(data, sha256=hashlib.sha256(data).hexdigest(), place="run.gz")


def test_another_version_is_refused():
    header = {"content": "quantcheck examples", "schema_version": 2}
    data = gzip.compress(json.dumps(header).encode())

    with pytest.raises(UsageError, match=r"of version 1, found .*2.*; read it with the version"):
        unpack(data, sha256=hashlib.sha256(data).hexdigest(), place="run.gz")
