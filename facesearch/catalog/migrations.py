"""The catalog's schema as a list of migrations. A released migration is never changed; append a new one instead."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["APPLICATION_ID", "MIGRATIONS", "only_new_tables"]

APPLICATION_ID = 0x66736368
"""Written into the header of every catalog ("fsch"), so that another program's database is not mistaken for one."""


def _noted(trigger: str, event: str, faces: str) -> str:
    """Return a trigger of schema 7 that lists faces as changed, as long as a gallery is connected."""
    return f"""
    CREATE TRIGGER {trigger} AFTER {event} WHEN EXISTS (SELECT 1 FROM galleries) BEGIN
        DELETE FROM changes WHERE face IN ({faces});
        INSERT INTO changes (face) {faces};
    END;"""


MIGRATIONS: tuple[str, ...] = (
    # 1: roots, photos, faces, vectors.
    # Paths are the file system's bytes: TEXT cannot hold names that are not UTF-8. A face outlives its vector: when
    # a photo is edited, a face found again at the same place keeps its id and gets a new vector with a new id.
    """
    CREATE TABLE meta (
        key TEXT PRIMARY KEY,
        value NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE models (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        source TEXT,
        dim INTEGER NOT NULL,
        digests TEXT NOT NULL,
        pipeline INTEGER NOT NULL,
        threshold REAL NOT NULL,
        licence TEXT NOT NULL
    );

    CREATE TABLE roots (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        uuid TEXT NOT NULL UNIQUE,
        path BLOB NOT NULL UNIQUE
    );

    CREATE TABLE photos (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        root INTEGER NOT NULL REFERENCES roots ON DELETE CASCADE,
        path BLOB NOT NULL,
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        hash BLOB,
        width INTEGER,
        height INTEGER,
        taken_at TEXT,
        latitude REAL,
        longitude REAL,
        status TEXT NOT NULL CHECK (status IN ('faces', 'no_face', 'failed', 'unwanted')),
        error TEXT,
        missing_since INTEGER,
        UNIQUE (root, path)
    );
    CREATE INDEX photos_by_hash ON photos (hash);

    CREATE TABLE faces (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        photo INTEGER NOT NULL REFERENCES photos ON DELETE CASCADE,
        x REAL NOT NULL,
        y REAL NOT NULL,
        width REAL NOT NULL,
        height REAL NOT NULL,
        landmarks BLOB NOT NULL,
        score REAL NOT NULL
    );
    CREATE INDEX faces_by_photo ON faces (photo);

    CREATE TABLE vectors (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        face INTEGER NOT NULL REFERENCES faces ON DELETE CASCADE,
        model INTEGER NOT NULL REFERENCES models,
        vector BLOB NOT NULL
    );
    CREATE INDEX vectors_by_face ON vectors (face);

    -- Vectors deleted since the last snapshot of the vector index: the snapshot may still hold them.
    CREATE TABLE dead_vectors (id INTEGER PRIMARY KEY);
    CREATE TRIGGER vector_dies AFTER DELETE ON vectors BEGIN
        INSERT OR IGNORE INTO dead_vectors (id) VALUES (old.id);
    END;
    """,
    # 2: the quality of a face and the fingerprint of a photo; NULL in what was indexed before. Faces that were
    # forgotten for good, by the content of their photo: they are omitted whenever that content is read again.
    """
    ALTER TABLE faces ADD COLUMN quality REAL;
    ALTER TABLE photos ADD COLUMN fingerprint INTEGER;
    CREATE TABLE forgotten_faces (
        content BLOB NOT NULL,
        x REAL NOT NULL,
        y REAL NOT NULL,
        width REAL NOT NULL,
        height REAL NOT NULL
    );
    CREATE INDEX forgotten_faces_by_content ON forgotten_faces (content);
    """,
    # 3: a model replaces another; until then it is the second row of models. What it extracts is kept by the content of
    # photos, apart from the faces that queries find, and is deleted with the last photo of that content. A photo that
    # it could not read is outdated: its faces have no vectors until a later run reads it.
    """
    ALTER TABLE photos ADD COLUMN outdated INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE looks (
        content BLOB PRIMARY KEY,
        fingerprint INTEGER
    ) WITHOUT ROWID;
    CREATE TABLE seen_faces (
        id INTEGER PRIMARY KEY,
        content BLOB NOT NULL REFERENCES looks ON DELETE CASCADE,
        x REAL NOT NULL,
        y REAL NOT NULL,
        width REAL NOT NULL,
        height REAL NOT NULL,
        landmarks BLOB NOT NULL,
        score REAL NOT NULL,
        quality REAL,
        vector BLOB NOT NULL
    );
    CREATE INDEX seen_faces_by_content ON seen_faces (content);
    CREATE TRIGGER content_goes AFTER DELETE ON photos WHEN old.hash IS NOT NULL BEGIN
        DELETE FROM looks WHERE content = old.hash
            AND NOT EXISTS (SELECT 1 FROM photos WHERE hash = old.hash AND status != 'unwanted');
    END;
    CREATE TRIGGER content_changes AFTER UPDATE OF hash, status ON photos
    WHEN old.hash IS NOT NULL AND (old.hash IS NOT new.hash OR new.status = 'unwanted') BEGIN
        DELETE FROM looks WHERE content = old.hash
            AND NOT EXISTS (SELECT 1 FROM photos WHERE hash = old.hash AND status != 'unwanted');
    END;
    """,
    # 4: how often a process died while it processed one photo alone; pictures that facesearch itself made; the version
    # of the header reader that read a photo (0: one that did not record the source of a date, so the header is read
    # again); the source of a date and its precision. A photo whose place was taken is kept under a path with an empty
    # part, which no scan returns, instead of one with a NUL. Photos that were given up because they were in progress at
    # two deaths are tried again, alone. The new index finds copies by content and status, however many there are.
    """
    ALTER TABLE photos ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0 CHECK (deaths >= 0);
    ALTER TABLE photos ADD COLUMN ours INTEGER NOT NULL DEFAULT 0 CHECK (ours IN (0, 1));
    ALTER TABLE photos ADD COLUMN header INTEGER NOT NULL DEFAULT 0 CHECK (header >= 0);
    ALTER TABLE photos ADD COLUMN date_source TEXT CHECK (date_source IN ('exif', 'xmp', 'iptc', 'name'));
    ALTER TABLE photos ADD COLUMN date_precision TEXT
        CHECK (date_precision IN ('year', 'month', 'day', 'minute', 'second'));
    UPDATE photos SET date_source = 'exif', date_precision = 'second' WHERE taken_at IS NOT NULL;
    UPDATE photos SET path = CAST(substr(path, 1, instr(path, x'00') - 1) || '//' || id AS BLOB)
        WHERE instr(path, x'00') > 0;
    UPDATE photos SET deaths = 1, hash = NULL WHERE status = 'failed' AND error LIKE 'facesearch died %';
    DROP INDEX photos_by_hash;
    CREATE INDEX photos_by_content ON photos (hash, status, outdated);
    """,
    # 5: the generation shows whether a vector file is current; triggers increment it, so that no caller can forget to.
    """
    CREATE TRIGGER vector_comes AFTER INSERT ON vectors BEGIN
        UPDATE meta SET value = value + 1 WHERE key = 'generation';
    END;
    CREATE TRIGGER vector_goes AFTER DELETE ON vectors BEGIN
        UPDATE meta SET value = value + 1 WHERE key = 'generation';
    END;
    """,
    # 6: people. A person is a number: of a group that the machine found, or of somebody whom the user named. A number
    # is never used again. A person that turned out to be another one refers to it. Statements are what the user said,
    # only ever appended; they outlive faces, so they also hold the content of the photo and the box. Assignments follow
    # from statements and from grouping; those of a statement are never changed by grouping.
    """
    CREATE TABLE people (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        merged_into INTEGER REFERENCES people
    );
    CREATE TABLE statements (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        said_at INTEGER NOT NULL,
        author TEXT NOT NULL,
        origin TEXT NOT NULL,
        kind TEXT NOT NULL,
        person INTEGER REFERENCES people,
        other INTEGER REFERENCES people,
        value TEXT,
        batch INTEGER,
        undoes INTEGER REFERENCES statements
    );
    CREATE TABLE statement_faces (
        statement INTEGER NOT NULL REFERENCES statements ON DELETE CASCADE,
        face INTEGER NOT NULL,
        content BLOB,
        x REAL NOT NULL,
        y REAL NOT NULL,
        width REAL NOT NULL,
        height REAL NOT NULL
    );
    CREATE INDEX statement_faces_by_statement ON statement_faces (statement);
    CREATE TABLE assignments (
        face INTEGER PRIMARY KEY REFERENCES faces ON DELETE CASCADE,
        person INTEGER NOT NULL REFERENCES people,
        statement INTEGER REFERENCES statements
    );
    CREATE INDEX assignments_by_person ON assignments (person);
    """,
    # 7: the shared galleries that this index is pushed to, and the faces that changed since. A face is listed once, at
    # its last change; a gallery has everything up to the change `pushed`. `token` is what the gallery got with the last
    # push, `pending` what it gets with one in progress: if it has neither, this catalog was restored or copied.
    # Triggers list the faces, so that no caller can forget to: those of a photo together, since each record holds the
    # number of faces in its photo. `known_as` is the name of this index in the gallery.
    """
    CREATE TABLE galleries (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        address TEXT NOT NULL,
        known_as TEXT NOT NULL,
        token BLOB,
        pending BLOB,
        pushed INTEGER NOT NULL DEFAULT 0,
        after_runs INTEGER NOT NULL DEFAULT 0 CHECK (after_runs IN (0, 1))
    );
    CREATE TABLE changes (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        face INTEGER NOT NULL UNIQUE
    );
    """
    + _noted("note_new_face", "INSERT ON faces", "SELECT id FROM faces WHERE photo = new.photo")
    + _noted("note_changed_face", "UPDATE ON faces", "SELECT id FROM faces WHERE photo IN (old.photo, new.photo)")
    + _noted("note_deleted_face", "DELETE ON faces", "SELECT old.id UNION SELECT id FROM faces WHERE photo = old.photo")
    + _noted("note_new_vector", "INSERT ON vectors", "SELECT new.face")
    + _noted("note_changed_vector", "UPDATE ON vectors", "SELECT new.face")
    + _noted("note_deleted_vector", "DELETE ON vectors", "SELECT old.face")
    + _noted(
        "note_photo",
        "UPDATE OF root, path, size, mtime_ns, hash, taken_at, date_source, date_precision, missing_since, fingerprint"
        " ON photos",
        "SELECT id FROM faces WHERE photo = new.id",
    )
    + _noted(
        "note_root",
        "UPDATE OF path ON roots",
        "SELECT faces.id FROM faces JOIN photos ON photos.id = photo WHERE root = new.id",
    )
    + _noted("note_new_person", "INSERT ON assignments", "SELECT new.face")
    + _noted("note_changed_person", "UPDATE ON assignments", "SELECT new.face")
    + _noted("note_lost_person", "DELETE ON assignments", "SELECT old.face"),
    # 8: roots of which this index takes one shard. Photos that it knows and that are in other shards now are handed
    # over: they are hidden, but not missing, so they are not deleted after a time. Whatever else happens to the
    # visibility of a photo ends that, by a trigger.
    # The tenant that this index belongs to in a shared gallery, for services whose users share one role there.
    """
    CREATE TABLE shards (
        root INTEGER PRIMARY KEY REFERENCES roots ON DELETE CASCADE,
        shard TEXT NOT NULL
    );
    CREATE TABLE handed_over (
        photo INTEGER PRIMARY KEY REFERENCES photos ON DELETE CASCADE
    );
    CREATE TRIGGER not_handed_over AFTER UPDATE OF missing_since ON photos BEGIN
        DELETE FROM handed_over WHERE photo = new.id;
    END;
    CREATE TABLE tenants (
        gallery INTEGER PRIMARY KEY REFERENCES galleries ON DELETE CASCADE,
        tenant TEXT NOT NULL
    );
    """,
    # 9: people with names. What follows from statements is derived and can be derived again: `profiles` is what was
    # said about people, `joined` are people who were said to be others. `overruled` is whom grouping took a face for,
    # where statements say something else; NULL for nobody. So a statement that is undone leaves what there was before.
    # `identities` are the ids of people outside this catalog. `given_faces` are faces that the user gave by hand.
    # `bookmarks` hold the last face that each reader of news has seen, and `skipped` questions are asked later.
    """
    CREATE TABLE overruled (
        face INTEGER PRIMARY KEY REFERENCES faces ON DELETE CASCADE,
        person INTEGER REFERENCES people
    );
    CREATE INDEX overruled_by_person ON overruled (person);
    CREATE TABLE joined (
        person INTEGER PRIMARY KEY REFERENCES people,
        whole INTEGER NOT NULL REFERENCES people
    );
    CREATE TABLE profiles (
        person INTEGER PRIMARY KEY REFERENCES people,
        name TEXT,
        aliases TEXT NOT NULL,
        external_id TEXT,
        born TEXT,
        ignored INTEGER NOT NULL CHECK (ignored IN (0, 1)),
        cover INTEGER
    );
    CREATE TABLE identities (
        person INTEGER PRIMARY KEY REFERENCES people,
        uid TEXT NOT NULL UNIQUE
    );
    CREATE TABLE given_faces (
        face INTEGER PRIMARY KEY REFERENCES faces ON DELETE CASCADE
    );
    CREATE TABLE bookmarks (
        name TEXT PRIMARY KEY,
        face INTEGER NOT NULL,
        read_at INTEGER NOT NULL
    );
    CREATE TABLE skipped (
        question TEXT PRIMARY KEY,
        skipped_at INTEGER NOT NULL
    );
    """,
    # 10: people who were forgotten and whom later runs leave out until a date: the mean embedding of their faces, of
    # the index's own model, and nothing else that tells who they are. With that model it goes. `erasing` has a row from
    # the moment at which something was deleted for good until nothing of it is left in the files of the index.
    """
    CREATE TABLE kept_out (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        model INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
        vector BLOB NOT NULL,
        faces INTEGER NOT NULL,
        made_at INTEGER NOT NULL,
        until INTEGER NOT NULL
    );
    CREATE TABLE erasing (
        begun_at INTEGER NOT NULL
    );
    """,
    # 11: where faces of which something was said are since their photos were edited: at `to_`, in another content. This
    # counts for statements up to `until`; `after` was the last statement when it was noted. `earlier_contents` has the
    # content that the faces of a photo were found in, until they are found again in the content that it has now.
    """
    CREATE TABLE carried (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        after INTEGER NOT NULL,
        until INTEGER NOT NULL,
        content BLOB NOT NULL,
        x REAL NOT NULL,
        y REAL NOT NULL,
        width REAL NOT NULL,
        height REAL NOT NULL,
        to_content BLOB NOT NULL,
        to_x REAL NOT NULL,
        to_y REAL NOT NULL,
        to_width REAL NOT NULL,
        to_height REAL NOT NULL
    );
    CREATE INDEX carried_by_content ON carried (content);
    CREATE INDEX carried_by_later_content ON carried (to_content);
    CREATE INDEX statement_faces_by_face ON statement_faces (face);
    CREATE INDEX statement_faces_by_content ON statement_faces (content);
    CREATE TABLE earlier_contents (
        photo INTEGER PRIMARY KEY REFERENCES photos ON DELETE CASCADE,
        content BLOB NOT NULL
    );
    CREATE TRIGGER note_earlier_content AFTER UPDATE OF hash ON photos
    WHEN old.hash IS NOT NULL AND old.hash IS NOT new.hash AND EXISTS (SELECT 1 FROM faces WHERE photo = new.id)
        AND NOT EXISTS (SELECT 1 FROM earlier_contents WHERE photo = new.id) BEGIN
        INSERT INTO earlier_contents (photo, content) VALUES (new.id, old.hash);
    END;
    """,
)


def only_new_tables(script: str) -> list[str] | None:
    """Return the statements of a migration that create tables; None if it does more than create tables and their like.

    Indexes and triggers do not matter to readers.
    """
    statements = list(_statements(script))
    tables = [statement for statement in statements if re.match(r"CREATE TABLE\b", statement)]
    others = [statement for statement in statements if re.match(r"CREATE (INDEX|TRIGGER)\b", statement)]
    return tables if len(tables) + len(others) == len(statements) else None


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; a trigger, which has statements of its own, is one."""
    statement = ""
    for part in script.split(";")[:-1]:
        statement += f"{part};"
        if not statement.lstrip().startswith("CREATE TRIGGER") or part.strip() == "END":
            yield statement.strip().removesuffix(";")
            statement = ""
