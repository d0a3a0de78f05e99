"""The tables of a gallery in PostgreSQL, as SQL to run once.

The faces of each index are a partition of their own, so that an index is removed at once. Whoever pushes need not own
anything: two functions that run with the owner's rights add and remove an index.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

from facesearch.galleries.postgres.approximate import statement
from facesearch.galleries.rows import COLUMNS
from facesearch.galleries.shared import Method

if TYPE_CHECKING:
    from facesearch.types import ModelInfo

__all__ = ["SCHEMA", "creation"]

SCHEMA = 1
"""The version of the tables. A gallery of another version is refused."""

_NOT_NULL = {
    "face", "vector", "photo", "root", "root_path", "path", "size", "mtime_ns", "first_moment", "last_moment",
    "x", "y", "width", "height", "landmarks", "score", "faces_in_photo", "digest",
}  # fmt: skip

_NEAREST: dict[Method, str] = {
    "exact": "",
    "hnsw": "-- For approximate search, which needs pgvector 0.8. The first push is faster without it.\n{statement};\n",
    "ivf": "-- Approximate search by lists: they are made of the faces there are, so choose ivf again after a push.\n",
}

_SCRIPT = """\
-- A gallery of facesearch for faces embedded with {name}. Run it once, as a role that may create schemas.
-- The extension vector (pgvector 0.7 or later) must be installed on the server.
CREATE EXTENSION IF NOT EXISTS vector;
CREATE SCHEMA facesearch;

CREATE TABLE facesearch.gallery (
    id uuid PRIMARY KEY,
    version integer NOT NULL,
    model jsonb NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    method text NOT NULL DEFAULT 'exact',
    recall double precision,
    recall_faces bigint,
    recall_at timestamptz
);
INSERT INTO facesearch.gallery (id, version, model, method) VALUES ('{id}', {version}, '{model}', '{method}');

CREATE TABLE facesearch.indexes (
    number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid bytea NOT NULL UNIQUE,
    name text NOT NULL UNIQUE,
    place text NOT NULL,
    owner name NOT NULL,
    token bytea,
    change bigint NOT NULL DEFAULT 0,
    photos bigint NOT NULL DEFAULT 0,
    faces bigint NOT NULL DEFAULT 0,
    unmeasured bigint NOT NULL DEFAULT 0,
    people bigint,
    roots bytea[] NOT NULL DEFAULT '{{}}',
    pushed_at timestamptz
);

CREATE TABLE facesearch.merged_people (
    index integer NOT NULL REFERENCES facesearch.indexes ON DELETE CASCADE,
    person bigint NOT NULL,
    merged_into bigint NOT NULL,
    PRIMARY KEY (index, person)
);

-- Dates are text in the form YYYY-MM-DDTHH:MM:SS, paths are bytes: both are compared byte by byte.
CREATE TABLE facesearch.face_rows (
    index integer NOT NULL REFERENCES facesearch.indexes ON DELETE CASCADE,
{columns},
    embedding vector({dim}) NOT NULL,
    PRIMARY KEY (index, face)
) PARTITION BY LIST (index);
ALTER TABLE facesearch.face_rows ALTER COLUMN embedding SET STORAGE PLAIN;
CREATE INDEX ON facesearch.face_rows (index, person) WHERE person IS NOT NULL;
CREATE INDEX ON facesearch.face_rows (index, photo);
CREATE INDEX ON facesearch.face_rows (path);
{nearest}
CREATE FUNCTION facesearch.add_index(uuid bytea, name text, place text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = facesearch, pg_temp AS $$
DECLARE
    added integer;
BEGIN
    INSERT INTO facesearch.indexes (uuid, name, place, owner) VALUES ($1, $2, $3, session_user)
        RETURNING number INTO added;
    EXECUTE format(
        'CREATE TABLE facesearch.face_rows_%s PARTITION OF facesearch.face_rows FOR VALUES IN (%s)', added, added
    );
    RETURN added;
END $$;

CREATE FUNCTION facesearch.remove_index(removed integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = facesearch, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM facesearch.indexes WHERE number = removed
                   AND pg_has_role(session_user, owner, 'MEMBER')) THEN
        RAISE EXCEPTION 'index % belongs to another role', removed USING ERRCODE = 'insufficient_privilege';
    END IF;
    EXECUTE format('DROP TABLE facesearch.face_rows_%s', removed);
    DELETE FROM facesearch.indexes WHERE number = removed;
END $$;

-- Views for SQL. They only gain columns; the tables may change.
CREATE FUNCTION facesearch.path_text(path bytea) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN convert_from(path, 'UTF8');
EXCEPTION WHEN character_not_in_repertoire THEN
    RETURN encode(path, 'escape');
END $$;
CREATE VIEW facesearch.faces AS
    SELECT name AS index, face AS id, photo AS photo_id, x, y, width, height, score, quality, person, embedding
    FROM facesearch.face_rows JOIN facesearch.indexes ON number = index;
CREATE VIEW facesearch.photos AS
    SELECT DISTINCT ON (face_rows.index, photo) name AS index, photo AS id, facesearch.path_text(path) AS path,
        first_moment AS date, coalesce(date_source, 'file') AS date_source, date_precision, size,
        faces_in_photo AS faces
    FROM facesearch.face_rows JOIN facesearch.indexes ON number = index;
CREATE VIEW facesearch.people AS
    SELECT name AS index, person AS id, count(*) AS faces, count(DISTINCT photo) AS photos
    FROM facesearch.face_rows JOIN facesearch.indexes ON number = index WHERE person IS NOT NULL GROUP BY name, person;
CREATE VIEW facesearch.photos_faces AS
    SELECT facesearch.path_text(path) AS path, first_moment AS date, faces_in_photo, name AS index, face AS id,
        photo AS photo_id, x, y, width, height, score, quality, person, embedding
    FROM facesearch.face_rows JOIN facesearch.indexes ON number = index;

-- Embeddings of photos that users ask with, until they expire. Everybody sees their own.
CREATE TABLE facesearch.probes (
    name text NOT NULL,
    embedding vector({dim}) NOT NULL,
    expires timestamptz NOT NULL,
    owner name NOT NULL DEFAULT current_user,
    PRIMARY KEY (owner, name)
);
ALTER TABLE facesearch.probes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON facesearch.probes USING (owner = current_user);
CREATE VIEW facesearch.probe WITH (security_invoker) AS
    SELECT name, embedding, expires, owner FROM facesearch.probes WHERE expires > now() AND owner = current_user;
CREATE FUNCTION facesearch.drop_expired_probes() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = facesearch, pg_temp AS $$
    DELETE FROM facesearch.probes WHERE expires <= now();
$$;

REVOKE ALL ON FUNCTION facesearch.add_index(bytea, text, text), facesearch.remove_index(integer) FROM PUBLIC;

-- The least rights of a role that asks:
--   GRANT USAGE ON SCHEMA facesearch TO reader;
--   GRANT SELECT ON ALL TABLES IN SCHEMA facesearch TO reader;
-- of a role that stores probes for SQL, in addition:
--   GRANT INSERT, UPDATE ON facesearch.probes TO reader;
-- and of a role that pushes, in addition:
--   GRANT INSERT, UPDATE, DELETE ON facesearch.face_rows, facesearch.merged_people TO writer;
--   GRANT UPDATE ON facesearch.indexes TO writer;
--   GRANT EXECUTE ON FUNCTION facesearch.add_index, facesearch.remove_index TO writer;
"""


def creation(model: ModelInfo, method: Method = "exact") -> str:
    """Return the SQL that makes a gallery for embeddings of a model, which searches by a method."""
    bytewise = {"text": 'text COLLATE "C"'}
    columns = ",\n".join(
        f"    {name} {bytewise.get(kind, kind)}{' NOT NULL' * (name in _NOT_NULL)}" for name, kind in COLUMNS.items()
    )
    told = {
        "name": model.name, "dim": model.dim, "digests": dict(model.digests), "revision": model.revision,
        "threshold": model.threshold, "licence": model.licence,
    }  # fmt: skip
    return _SCRIPT.format(
        name=" ".join(model.name.split()),
        id=uuid.uuid4(),
        version=SCHEMA,
        model=json.dumps(told).replace("'", "''"),
        columns=columns,
        dim=model.dim,
        method=method,
        nearest=_NEAREST[method].format(statement=statement(method, model.dim)),
    )
