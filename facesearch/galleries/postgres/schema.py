"""The tables of a gallery in PostgreSQL, as SQL to run once.

The faces of each index are a partition of their own, so that an index is removed at once. Whoever pushes need not own
anything: triggers that run with the owner's rights make and drop partitions. They check nothing, since they run only
for rows that the policies of the table let somebody add or delete.

In a private gallery, policies hide the faces of an index from all but its owner, its readers, and the members of both
roles. Policies are parsed when they are made, so that a search path cannot change what they mean, and a role that was
dropped matches nobody. What an index shows is found once per query, not per face.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING

from facesearch.galleries.postgres.approximate import statement
from facesearch.galleries.rows import COLUMNS
from facesearch.galleries.shared import Method
from facesearch.galleries.version import as_told

if TYPE_CHECKING:
    from facesearch.types import ModelInfo

__all__ = ["SCHEMA", "creation", "schema_name"]

SCHEMA = 1
"""The version of the tables. A gallery of another version is refused."""

_NAME = "facesearch"
_NOT_NULL = {
    "face", "vector", "photo", "root", "root_path", "path", "size", "mtime_ns", "first_moment", "last_moment",
    "x", "y", "width", "height", "landmarks", "score", "faces_in_photo", "digest",
}  # fmt: skip

_NEAREST: dict[Method, str] = {
    "exact": "",
    "hnsw": "-- For approximate search, which needs pgvector 0.8. The first push is faster without it.\n{statement};\n",
    "ivf": "-- Approximate search by lists: they are made of the faces there are, so choose ivf again after a push.\n",
}

_MEMBER = "EXISTS (SELECT 1 FROM pg_catalog.pg_roles AS known WHERE {whose} AND pg_has_role(known.oid, 'MEMBER'))"
_OWN = _MEMBER.format(whose="known.rolname = owner")
_SEEN = _MEMBER.format(whose="(known.rolname = owner OR known.rolname = ANY (readers))")
_ONE_OF = "index = ANY (ARRAY(SELECT number FROM facesearch.indexes{of}))"

_PRIVATE = """\

-- A private gallery: an index and its faces are seen by members of its owner and of its readers, changed by the former.
ALTER TABLE facesearch.indexes FORCE ROW LEVEL SECURITY;
""" + "".join(
    f"""\
ALTER TABLE facesearch.{table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE facesearch.{table} FORCE ROW LEVEL SECURITY;
CREATE POLICY seen ON facesearch.{table} FOR SELECT USING ({_ONE_OF.format(of="")});
CREATE POLICY added ON facesearch.{table} FOR INSERT WITH CHECK ({_ONE_OF.format(of=f" WHERE {_OWN}")});
CREATE POLICY changed ON facesearch.{table} FOR UPDATE USING ({_ONE_OF.format(of=f" WHERE {_OWN}")});
CREATE POLICY deleted ON facesearch.{table} FOR DELETE USING ({_ONE_OF.format(of=f" WHERE {_OWN}")});
"""
    for table in ("face_rows", "merged_people")
)

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
    owner name NOT NULL DEFAULT current_user,
    token bytea,
    change bigint NOT NULL DEFAULT 0,
    photos bigint NOT NULL DEFAULT 0,
    faces bigint NOT NULL DEFAULT 0,
    unmeasured bigint NOT NULL DEFAULT 0,
    people bigint,
    roots bytea[] NOT NULL DEFAULT '{{}}',
    pushed_at timestamptz,
    readers name[] NOT NULL DEFAULT '{{}}',
    tenant text
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
CREATE FUNCTION facesearch.make_partition() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    added integer := NEW.number;
    partition text := format('%I.face_rows_%s', TG_TABLE_SCHEMA, added);
BEGIN
    EXECUTE format('CREATE TABLE %s PARTITION OF %I.face_rows FOR VALUES IN (%s)', partition, TG_TABLE_SCHEMA, added);
    IF (SELECT relrowsecurity FROM pg_class WHERE oid = format('%I.face_rows', TG_TABLE_SCHEMA)::regclass) THEN
        -- No policy: nobody reads a partition but through the table.
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', partition);
        EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', partition);
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION facesearch.drop_partition() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    removed integer := OLD.number;
BEGIN
    EXECUTE format('DROP TABLE %I.face_rows_%s', TG_TABLE_SCHEMA, removed);
    RETURN OLD;
END $$;
-- They run with the owner's rights, so nobody else may attach them to a table.
REVOKE ALL ON FUNCTION facesearch.make_partition(), facesearch.drop_partition() FROM PUBLIC;
CREATE TRIGGER make_partition AFTER INSERT ON facesearch.indexes
    FOR EACH ROW EXECUTE FUNCTION facesearch.make_partition();
CREATE TRIGGER drop_partition BEFORE DELETE ON facesearch.indexes
    FOR EACH ROW EXECUTE FUNCTION facesearch.drop_partition();

ALTER TABLE facesearch.indexes ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON facesearch.indexes FOR SELECT USING ({seen});
CREATE POLICY added ON facesearch.indexes FOR INSERT WITH CHECK ({own});
CREATE POLICY changed ON facesearch.indexes FOR UPDATE USING ({changed});
CREATE POLICY deleted ON facesearch.indexes FOR DELETE USING ({own});
{private}
-- Views for SQL. They only gain columns; the tables may change.
CREATE FUNCTION facesearch.path_text(path bytea) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN convert_from(path, 'UTF8');
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
    RETURN encode(path, 'escape');
END $$;
CREATE VIEW facesearch.faces WITH (security_invoker) AS
    SELECT name AS index, face AS id, photo AS photo_id, x, y, width, height, score, quality, person, embedding, tenant
    FROM facesearch.face_rows JOIN facesearch.indexes ON number = index;
CREATE VIEW facesearch.photos WITH (security_invoker) AS
    SELECT DISTINCT ON (face_rows.index, photo) name AS index, photo AS id, facesearch.path_text(path) AS path,
        first_moment AS date, coalesce(date_source, 'file') AS date_source, date_precision, size,
        faces_in_photo AS faces, tenant
    FROM facesearch.face_rows JOIN facesearch.indexes ON number = index;
CREATE VIEW facesearch.people WITH (security_invoker) AS
    SELECT name AS index, person AS id, count(*) AS faces, count(DISTINCT photo) AS photos, tenant
    FROM facesearch.face_rows JOIN facesearch.indexes ON number = index WHERE person IS NOT NULL
    GROUP BY name, person, tenant;
CREATE VIEW facesearch.photos_faces WITH (security_invoker) AS
    SELECT facesearch.path_text(path) AS path, first_moment AS date, faces_in_photo, name AS index, face AS id,
        photo AS photo_id, x, y, width, height, score, quality, person, embedding, tenant
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
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    DELETE FROM facesearch.probes WHERE expires <= now();
END;

-- The least rights of a role that asks:
--   GRANT USAGE ON SCHEMA facesearch TO reader;
--   GRANT SELECT ON ALL TABLES IN SCHEMA facesearch TO reader;
-- of a role that stores probes for SQL, in addition:
--   GRANT INSERT, UPDATE ON facesearch.probes TO reader;
-- and of a role that pushes, in addition:
--   GRANT INSERT, UPDATE, DELETE ON facesearch.face_rows, facesearch.merged_people TO writer;
--   GRANT DELETE, INSERT (uuid, name, place) ON facesearch.indexes TO writer;
--   GRANT UPDATE (name, place, token, change, photos, faces, unmeasured, people) ON facesearch.indexes TO writer;
--   GRANT UPDATE (roots, pushed_at, readers, tenant) ON facesearch.indexes TO writer;
"""


def schema_name(*, beside: bool = False) -> str:
    """Return the name of the schema of a gallery, or of one for another model that is filled beside it."""
    return f"{_NAME}_next" if beside else _NAME


def creation(model: ModelInfo, method: Method = "exact", *, private: bool = False, beside: bool = False) -> str:
    """Return the SQL that makes a gallery for embeddings of a model, which searches by a method.

    In a private gallery an index is seen by its owner and those that the owner names. With `beside`, the gallery has
    another schema; nothing in it depends on the name of that.
    """
    bytewise = {"text": 'text COLLATE "C"'}
    columns = ",\n".join(
        f"    {name} {bytewise.get(kind, kind)}{' NOT NULL' * (name in _NOT_NULL)}" for name, kind in COLUMNS.items()
    )
    script = _SCRIPT.format(
        name=" ".join(model.name.split()),
        id=uuid.uuid4(),
        version=SCHEMA,
        model=json.dumps(as_told(model)).replace("'", "''"),
        columns=columns,
        dim=model.dim,
        method=method,
        own=_OWN,
        seen=_SEEN if private else "true",
        changed=_OWN if private else "true",
        private=_PRIVATE if private else "",
        nearest=_NEAREST[method].format(statement=statement(method, model.dim, table=f"{_NAME}.face_rows")),
    )
    return re.sub(rf"(?<=SCHEMA ){_NAME}\b|\b{_NAME}(?=\.)", schema_name(beside=beside), script)
