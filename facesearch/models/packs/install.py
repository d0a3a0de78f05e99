"""A pack from its archive into insightface's models folder: fetch, unpack, check, install; and away again.

The only part of facesearch that uses the network, and only when a user asks for a pack. Nothing that comes from outside
is trusted: what an archive holds has to be the pack that its name promises. A pack appears in its place in one step,
complete, or not at all.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from facesearch.errors import Hint, LockedError, ModelError, UsageError
from facesearch.models.packs.download import Download, Limits, Progress, fetch, is_address, storage_errors
from facesearch.models.packs.registry import (
    RECORD_NAME,
    KnownPack,
    PackRecord,
    faults_of,
    file_digest,
    known_pack,
    read_record,
    read_registry,
    require_name,
)
from facesearch.models.packs.unpack import unpack
from facesearch.settings import write_json

__all__ = ["pull", "remove_pack", "sound_pack"]

_LIMITS = Limits()


def sound_pack(name: str) -> Path | None:
    """The folder of the installed pack `name`, its files checked; None where there is none yet.

    Raises `ModelError` when something is there that is not that pack, or not sound any more.
    """
    from facesearch.models.insightface_pack import models_folder, pack_info

    folder = models_folder() / require_name(name)
    if not os.path.lexists(folder):
        return None
    record, known = read_record(folder), known_pack(name)
    if record is not None:
        faults = faults_of(folder, record.digests)
        if faults:
            raise ModelError(faults[0], Hint.PULL_AGAIN, name=name)
        return folder
    try:
        info = pack_info(folder)
    except ModelError as error:
        raise ModelError(f"{error}; facesearch did not put it there: move it away, then pull again") from error
    if known is not None and not set(known.heads.values()) <= set(info.digests.values()):
        raise ModelError(f"{folder}: not the networks of {name}, and not installed by facesearch; move it away first")
    return folder


def pull(
    name: str,
    source: str,
    *,
    licence: str,
    progress: Progress = lambda done, total: None,
    notify: Callable[[str], None] = lambda line: None,
    fault_in: Callable[[Path], str | None] = lambda folder: None,
    limits: Limits = _LIMITS,
) -> Path:
    """Install the pack `name` from `source`, an address or a .zip file, and return its folder.

    `notify` gets one line for whatever the user should know. `fault_in` says what is wrong with the networks in a
    folder; it is asked about those whose digests are not known, before they are installed. Raises `ModelError` when the
    archive cannot be had, is not that pack or has a fault, `StorageError` when there is no room, `LockedError` when
    another run is at it.
    """
    from facesearch.models.insightface_pack import models_folder

    folder = models_folder()
    if require_name(name) in read_registry().added:
        raise UsageError(f"{name} is registered for another folder", Hint.REMOVE_FIRST, name=name)
    fetched = is_address(source)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{name}.zip.part"
        with _held(part, name) as descriptor:
            if sound_pack(name) is not None:  # another run has been faster
                return folder / name
            if fetched:
                download = Download(source, part, descriptor, limits)
                fetch(download, name, folder, progress, notify)
            archive = part if fetched else Path(source)
            try:
                target = _install(archive, name, source, licence, notify, fault_in, limits)
            except ModelError:
                if fetched:  # what has come is of no use: the next run begins anew
                    download.start_anew()
                raise
            if fetched:
                download.start_anew()
    return target


def remove_pack(name: str, folder: Path, record: PackRecord) -> None:
    """Delete a pack that facesearch installed. Raises `ModelError` when anything else is in its folder."""
    ours = {*record.digests, RECORD_NAME}
    others = sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if not path.is_dir() and str(path.relative_to(folder)) not in ours
    )
    if others or folder.is_symlink():
        stranger = f"{others[0]} in it" if others else "the folder, a link,"
        raise ModelError(f"{folder}: {stranger} is not of facesearch; move it away, or delete the folder yourself")
    with storage_errors(folder):
        leaving = folder.with_name(f".{name}.removing")
        shutil.rmtree(leaving, ignore_errors=True)
        folder.rename(leaving)  # in one step: no other program sees half a pack
        shutil.rmtree(leaving)


def _install(
    archive: Path,
    name: str,
    source: str,
    licence: str,
    notify: Callable[[str], None],
    fault_in: Callable[[Path], str | None],
    limits: Limits,
) -> Path:
    """Unpack beside the target, check, put in place in one step."""
    from facesearch.models.insightface_pack import models_folder, pack_info

    target = models_folder() / name
    unpacked = target.with_name(f".{name}.unpacking")
    try:
        digest = file_digest(archive)
    except OSError as error:
        raise ModelError(f"{archive}: cannot be read ({error.strerror}); give a .zip file") from error
    shutil.rmtree(unpacked, ignore_errors=True)  # of a run that was killed
    try:
        digests = unpack(archive, source, unpacked, limits)
        try:
            heads = pack_info(unpacked).digests
        except ModelError as error:
            raise ModelError(f"{source}: {str(error).replace(str(unpacked), 'the archive')}") from error
        known = known_pack(name)
        _require_promised(name, source, digest, set(heads.values()), known, notify)
        fault = fault_in(unpacked) if known is None or known.sha256 is None else None
        if fault is not None:
            raise ModelError(
                f"{source}: {fault.replace(str(unpacked), 'the archive')}; nothing was installed: give another archive"
            )
        record = PackRecord(
            name=name,
            source=source if is_address(source) else str(archive.resolve()),
            sha256=digest,
            licence=licence,
            installed=datetime.now(UTC).isoformat(timespec="seconds"),
            digests=digests,
        )
        write_json(unpacked / RECORD_NAME, record.as_json())
        _sync(unpacked)
        unpacked.rename(target)
        _sync(target.parent)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    return target


def _require_promised(
    name: str, source: str, digest: str, heads: set[str], known: KnownPack | None, notify: Callable[[str], None]
) -> None:
    """A name that is known stands for its networks; another one is trusted the first time, and recorded."""
    if known is None:
        notify(f"no digest is known for {name}: it is trusted as it came (sha256 {digest}), and recorded")
    elif not set(known.heads.values()) <= heads:
        expected = f", expected {known.sha256}" if known.sha256 else ""
        raise ModelError(
            f"{source}: not {name} (sha256 {digest}{expected}, and its networks differ); nothing was installed: fetch "
            "it again, or give it another name"
        )
    elif known.sha256 is None:
        notify(
            f"of {name} only the recogniser's digest is known, and fits; the rest is trusted as it came, and recorded"
        )
    elif digest != known.sha256:
        notify(f"the archive is not the one known for {name} (sha256 {digest}), but its networks are")


@contextmanager
def _held(part: Path, name: str) -> Iterator[int]:
    """The file that a download goes to, open for this run alone; it is left there while something is in it."""
    while True:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.stat(part)):
                break
        except BlockingIOError as error:
            os.close(descriptor)
            raise LockedError(f"another run is pulling {name}; wait for it to end") from error
        except FileNotFoundError:
            pass  # the run that had it before has just taken it away
        os.close(descriptor)
    try:
        yield descriptor
    finally:
        if not os.fstat(descriptor).st_size:
            part.unlink(missing_ok=True)
        os.close(descriptor)


def _sync(folder: Path) -> None:
    """What is in a folder, and under which names, survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
