"""The report on a person: a .zip file with a readable page, the same as data, and the faces as pictures."""

from __future__ import annotations

import html
import io
import json
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facesearch.errors import PhotoError, StorageError
from facesearch.files import output_file
from facesearch.photos.crop import face_picture, mark
from facesearch.photos.known import read_known
from facesearch.photos.picture import Photo
from facesearch.render.pictures import MADE_BY
from facesearch.render.text import moment
from facesearch.settings import DEFAULT_MAX_PIXELS
from facesearch.visible import shown_path
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.api.results import HeldFace, PersonReport

__all__ = ["report_record", "save_person_report"]

_LEAST_CROP, _MOST_CROP, _AROUND = 32, 512, 1.5
_STYLE = (
    "body{font:16px/1.5 sans-serif;margin:2em auto;max-width:70em;padding:0 1em}table{border-collapse:collapse}"
    "td,th{border-bottom:1px solid #ccc;padding:.3em .7em;text-align:left;vertical-align:top}img{max-width:96px}"
    "code{word-break:break-all}"
)


def report_record(report: PersonReport) -> dict[str, Any]:
    """Return the report as plain values, without embeddings."""
    profile = report.profile
    return {
        "report": "person",
        "version": 1,
        "index": shown_path(report.index),
        "made_at": moment(report.made_at),
        "model": report.model,
        "person": {
            "number": report.person, "numbers": list(report.numbers), "id": report.uid, "name": profile.name,
            "aliases": list(profile.aliases), "external_id": profile.external_id, "born": profile.born,
            "ignored": profile.ignored, "cover_face": profile.cover,
        },
        "faces": [_face_record(one) for one in report.faces],
        "statements": [
            {
                "number": one.number, "said_at": moment(one.said_at), "author": one.author, "origin": one.origin,
                "kind": one.kind, "person": one.person, "other": one.other, "value": one.value,
                "faces": list(one.faces), "of_faces": one.of_faces, "taken_back_by": one.undone_by,
            }
            for one in report.statements
        ],
        "left_out": [
            {"number": one.id, "faces": one.faces, "since": moment(one.made_at), "until": moment(one.until)}
            for one in report.templates
        ],
        "galleries": list(report.galleries),
    }  # fmt: skip


def save_person_report(
    report: PersonReport,
    path: Path,
    *,
    vectors: bool,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    check: Callable[[], object] = lambda: None,
) -> list[str]:
    """Write the report to a .zip file that only its owner can read, completely or not at all.

    It has `report.html`, `report.json`, a picture of each face in `crops`, and with `vectors` the embeddings in
    `vectors.npy`, in the order of the faces. Returns the photos that cannot be read, each with the reason: their faces
    have no picture. Raises `StorageError` if the file cannot be written.
    """
    lost: dict[int, str] = {}
    try:
        with output_file(path, private=True) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            crops = _add_crops(archive, report.faces, lost, max_pixels, check)
            record = report_record(report)
            for known, one in zip(record["faces"], report.faces, strict=True):
                known["picture"] = crops.get(one.face.face_id)
                known["picture_missing"] = lost.get(one.face.face_id)
            if vectors:
                archive.writestr("vectors.npy", _npy(report))
                record["vectors"] = "vectors.npy: float32, one row per face, in the order of the faces"
            archive.writestr("report.json", json.dumps(record, indent=1))
            archive.writestr("report.html", _page(record))
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror or error}); check the folder") from error
    return list(
        dict.fromkeys(
            f"{os.fsdecode(one.face.path)}: {lost[one.face.face_id]}"
            for one in report.faces
            if one.face.face_id in lost
        )
    )


def _add_crops(
    archive: zipfile.ZipFile,
    faces: Sequence[HeldFace],
    lost: dict[int, str],
    max_pixels: int,
    check: Callable[[], object],
) -> dict[int, str]:
    crops = {}
    for one in faces:
        check()
        face, box = one.face, one.face.detection.box
        try:
            photo = Photo(read_known(face.file), max_pixels=max_pixels)
            side = min(_MOST_CROP, max(_LEAST_CROP, round(max(box.width, box.height) * _AROUND)))
            picture = face_picture(photo, box, side)
        except PhotoError as error:
            missing = isinstance(error.__cause__, FileNotFoundError)
            lost[face.face_id] = "not found" if missing else str(error)
            continue
        encoded = io.BytesIO()
        picture.save(encoded, "JPEG", quality=92, exif=mark())
        crops[face.face_id] = f"crops/face-{face.face_id}.jpg"
        archive.writestr(crops[face.face_id], encoded.getvalue(), zipfile.ZIP_STORED)
    return crops


def _npy(report: PersonReport) -> bytes:
    import numpy as np

    encoded = io.BytesIO()
    np.save(encoded, report.vectors, allow_pickle=False)
    return encoded.getvalue()


def _face_record(one: HeldFace) -> dict[str, Any]:
    face, box, facts = one.face, one.face.detection.box, one.facts
    return {
        "face_id": face.face_id,
        "path": shown_path(os.fsdecode(face.path)),
        "photo": None if face.content is None else face.content.hex(),
        "box": [round(number, 1) for number in (box.left, box.top, box.width, box.height)],
        "landmarks": [[round(float(number), 1) for number in point] for point in face.detection.landmarks],
        "photo_size": [facts.width, facts.height],
        "date": face.date,
        "date_source": face.date_source,
        "date_precision": face.date_precision,
        "position": None if facts.position is None else list(facts.position),
        "missing": one.hidden,
        "detector_score": round(face.detection.score, 4),
        "quality": None if face.quality is None else round(face.quality, 4),
        "similarity": None if one.similarity is None else round(one.similarity, 4),
        "beside": list(one.beside),
        "statement": one.statement,
    }


def _page(record: Mapping[str, Any]) -> str:
    person, faces, statements = record["person"], record["faces"], record["statements"]
    called = person["name"] or f"#{person['number']}"
    facts = [
        ("Index", record["index"]), ("Made", record["made_at"]), ("Model", record["model"]),
        ("Number", f"#{person['number']}"), ("Name", person["name"]), ("Also called", ", ".join(person["aliases"])),
        ("Born", person["born"]), ("Id elsewhere", person["external_id"]), ("Id", person["id"]),
        ("Photos", len({face["path"] for face in faces})), ("Faces", len(faces)),
        ("Galleries that may hold copies", ", ".join(record["galleries"])),
        ("Kept out of later runs", ", ".join(f"until {one['until'][:10]}" for one in record["left_out"])),
        ("Embeddings", record.get("vectors") or "held for each face; not in this file"),
    ]  # fmt: skip
    known = "".join(f"<tr><th>{_text(name)}<td>{_text(value)}" for name, value in facts if value not in (None, ""))
    shown = "".join(
        f"<tr><td>{_picture(face)}<td>{face['face_id']}<td><code>{_text(face['path'])}</code>"
        f"{' (file missing)' if face['missing'] else ''}<td>{_text(face['date'])} ({_text(face['date_source'])})"
        f"<td>{', '.join(f'{number:g}' for number in face['box'])}<td>{_text(face['quality'])}"
        f"<td>{_text(face['similarity'])}<td>{_beside(face['beside'])}"
        f"<td>{'' if face['position'] is None else ', '.join(f'{degrees:.5f}' for degrees in face['position'])}"
        for face in faces
    )
    told = "".join(
        f"<tr><td>{one['number']}<td>{_text(one['said_at'])}<td>{_text(one['author'])} ({_text(one['origin'])})"
        f"<td>{_text(one['kind'])}<td>{'' if one['person'] is None else '#' + str(one['person'])}"
        f"<td>{'' if one['other'] is None else '#' + str(one['other'])}<td>{_text(one['value'])}"
        f"<td>{', '.join(map(str, one['faces']))}"
        f"<td>{'' if one['taken_back_by'] is None else one['taken_back_by']}"
        for one in statements
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="generator" content="{MADE_BY}">'
        f"<title>{_text(called)}</title><style>{_STYLE}</style><h1>What is held about {_text(called)}</h1>"
        f"<table>{known}</table><h2>{counted(len(faces), 'face')}</h2><p>The box is left, top, width and height in "
        "pixels of the upright photo. Quality is from 0 to 1. Similarity is that to the other faces of this person. "
        "Other people have a number only, ? is somebody unknown.</p>"
        "<table><tr><th><th>Face<th>Photo<th>Date<th>Box<th>Quality<th>Similarity<th>Also in it<th>Position"
        f"{shown}</table><h2>{counted(len(statements), 'statement')}</h2>"
        "<table><tr><th>Number<th>When<th>Who said it<th>What<th>Person<th>Other<th>Value<th>Faces<th>Taken back by"
        f"{told}</table></html>\n"
    )


def _picture(face: Mapping[str, Any]) -> str:
    if face["picture"] is None:
        return _text(face["picture_missing"])
    return f'<img src="{_text(face["picture"])}" alt="face {face["face_id"]}" loading="lazy">'


def _beside(people: Sequence[int | None]) -> str:
    return ", ".join("?" if person is None else f"#{person}" for person in people)


def _text(value: object) -> str:
    return "" if value is None else html.escape(str(value))
