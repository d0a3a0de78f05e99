"""The table of columns matches the schema, the records, the SELECTs and the encoding."""

from __future__ import annotations

import math
import struct
from contextlib import closing
from dataclasses import fields, replace

import numpy as np
import pytest
from conftest import toy_face, toy_model_info
from hypothesis import example, given
from hypothesis import strategies as st

from facesearch.catalog.catalog import Catalog
from facesearch.catalog.columns import FACE, MEASURES, TABLES, Shape, face_columns
from facesearch.catalog.encoding import decode_face, decode_vector, encode_face, encode_vector
from facesearch.catalog.vectors import of_unit_length
from facesearch.errors import IndexDamagedError
from facesearch.types import Face, FaceRecord


def test_every_column_of_the_schema_is_known() -> None:
    with closing(Catalog.memory(toy_model_info())) as catalog:
        for table, columns in TABLES.items():
            kept = {row[1] for row in catalog.database.rows(f"PRAGMA table_info({table})")}
            assert kept == set(columns), table


@pytest.mark.parametrize("table", ["faces", "seen_faces"])
def test_a_face_is_kept_alike_in_both_tables(table: str) -> None:
    assert set(FACE) <= TABLES[table].keys()
    assert set(TABLES[table]) - set(FACE) <= {"id", "photo", "content", "vector"}
    assert face_columns(table) == tuple(f"{table}.{name}" for name in FACE)


@pytest.mark.parametrize("record", [Face, FaceRecord])
def test_every_measure_is_a_field_of_that_name(record: type) -> None:
    assert set(MEASURES) <= {field.name for field in fields(record)}


def test_a_face_comes_back_as_it_was() -> None:
    vector = np.linspace(0, 1, 8, dtype=np.float32)
    face = replace(toy_face(vector), quality=0.25)
    values = encode_face(face)
    assert dict(zip(FACE, values, strict=True))["quality"] == 0.25
    back = decode_face(values, decode_vector(encode_vector(vector)))
    assert (back.detection.box, back.detection.score) == (face.detection.box, face.detection.score)
    assert np.array_equal(back.detection.landmarks, face.detection.landmarks)
    assert np.array_equal(back.embedding, vector)
    assert all(getattr(back, name) == getattr(face, name) for name in MEASURES)
    assert encode_face(back) == values


def test_a_shape_reads_and_checks_the_same_columns() -> None:
    shape = Shape("faces.id", "faces.quality", "count(*)")
    assert shape.sql == "faces.id, faces.quality, count(*)"
    assert list(shape.checked([(1, None, 3), (2, 0.5, 0)], "it")) == [(1, None, 3), (2, 0.5, 0)]
    for row, what in [((0, None, 3), "faces.id 0"), ((1, 2.0, 3), "faces.quality 2.0"), ((1, None, None), "count")]:
        with pytest.raises(IndexDamagedError, match=rf"it: the catalog is damaged \(invalid {what}"):
            list(shape.checked([row], "it"))


@given(data=st.binary(min_size=16, max_size=16))
@example(data=np.array([3e38, 3e38, 0, 1], dtype="<f4").tobytes())
@example(data=np.array([np.nan, np.inf, -np.inf, 0], dtype="<f4").tobytes())
@example(data=b"\x01\x00\x80\x7f" * 4)
@example(data=np.array([0, 0, 0, 1], dtype="<f4").tobytes())
def test_any_bytes_are_of_unit_length_or_not(data: bytes) -> None:
    values = [float(value) for value in struct.unpack("<4f", data)]
    unit = all(map(math.isfinite, values)) and abs(math.hypot(*values) - 1) <= 1e-3
    assert of_unit_length(decode_vector(data)[None]).tolist() == [unit]
