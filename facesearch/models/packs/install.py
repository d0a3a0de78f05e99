"""Install packs into insightface's models folder (download, unpack, verify, install), and remove them.

This is the only part of facesearch that uses the network, and only when the user asks for a pack. Downloads are not
trusted: an archive must contain the pack that its name promises. A pack is installed atomically: complete or not at
all.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from facesearch.errors import Hint, LockedError, ModelError, UsageError
from facesearch.files import lock, sync_folder
from facesearch.models.packs.download import Download, Limits, Progress, fetch, is_address, storage_errors
from facesearch.models.packs.known import KnownPack, known_pack
from facesearch.models.packs.record import RECORD_NAME, PackRecord, faults_of, file_digest, read_record
from facesearch.models.packs.registry import read_registry, require_name
from facesearch.models.packs.unpack import unpack
from facesearch.settings import write_json

__all__ = ["pull", "remove_pack", "sound_pack"]

_LIMITS = Limits()


def sound_pack(name: str) -> Path | None:
    """Verify the installed pack `name` and return its folder; None if it is not installed.

    Raises `ModelError` if its folder holds something else or the pack is damaged.
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
        raise ModelError(f"{error}; facesearch did not install it: move it away, then pull again") from error
    if known is not None and not set(known.heads.values()) <= set(info.digests.values()):
        raise ModelError(f"{folder}: not the published {name}, and not installed by facesearch; move it away first")
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

    `notify` gets one line for each thing that the user should know. `fault_in` tests the networks in a folder and
    returns what is wrong with them; it is called before networks with unknown digests are installed. Raises
    `ModelError` if the archive is unavailable, is not that pack or has a fault, `StorageError` if the disk is full,
    `LockedError` if another run is installing it.
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
            if sound_pack(name) is not None:  # another run has installed it meanwhile
                return folder / name
            if fetched:
                download = Download(source, part, descriptor, limits)
                fetch(download, name, folder, progress, notify)
            archive = part if fetched else Path(source)
            try:
                target = _install(archive, name, source, licence, notify, fault_in, limits)
            except ModelError:
                if fetched:  # the downloaded data is useless: the next run starts again
                    download.start_anew()
                raise
            if fetched:
                download.start_anew()
    return target


def remove_pack(name: str, folder: Path, record: PackRecord) -> None:
    """Delete a pack that facesearch installed. Raises `ModelError` if its folder contains other files."""
    ours = {*record.digests, RECORD_NAME}
    others = sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if not path.is_dir() and str(path.relative_to(folder)) not in ours
    )
    if others or folder.is_symlink():
        stranger = f"contains {others[0]}" if others else "is a symbolic link"
        raise ModelError(f"{folder}: {stranger}, not made by facesearch; move it away, or delete the folder yourself")
    with storage_errors(folder):
        leaving = folder.with_name(f".{name}.removing")
        shutil.rmtree(leaving, ignore_errors=True)
        folder.rename(leaving)  # atomic: no other program sees an incomplete pack
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
    """Unpack an archive next to the target, verify it, and rename it into place."""
    from facesearch.models.insightface_pack import models_folder, pack_info

    target = models_folder() / name
    unpacked = target.with_name(f".{name}.unpacking")
    try:
        digest = file_digest(archive)
    except OSError as error:
        raise ModelError(f"{archive}: cannot be read ({error.strerror}); give a .zip file") from error
    shutil.rmtree(unpacked, ignore_errors=True)  # left by a killed run
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
        sync_folder(unpacked)
        unpacked.rename(target)
        sync_folder(target.parent)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    return target


def _require_promised(
    name: str, source: str, digest: str, heads: set[str], known: KnownPack | None, notify: Callable[[str], None]
) -> None:
    """Require the published networks for a known name; any other pack is trusted on first use and recorded."""
    if known is None:
        notify(f"no checksum is known for {name}: it is trusted on first use and recorded (sha256 {digest})")
    elif not set(known.heads.values()) <= heads:
        expected = f", expected {known.sha256}" if known.sha256 else ""
        raise ModelError(
            f"{source}: not {name} (sha256 {digest}{expected}, and its networks differ); nothing was installed: fetch "
            "it again, or give it another name"
        )
    elif known.sha256 is None:
        notify(
            f"only the recogniser's checksum is known for {name}, and it matches; the rest is trusted on first use and "
            "recorded"
        )
    elif digest != known.sha256:
        notify(f"the archive is not the one published as {name} (sha256 {digest}), but its networks are")


@contextmanager
def _held(part: Path, name: str) -> Iterator[int]:
    """Open and lock the file of a partial download; delete it afterwards if it is empty."""
    while True:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if not lock(descriptor):
                os.close(descriptor)
                raise LockedError(f"another run is pulling {name}; wait for it to finish")
            if os.path.samestat(os.fstat(descriptor), os.stat(part)):
                break
        except FileNotFoundError:
            pass  # the run that held it has just deleted it
        os.close(descriptor)
    try:
        yield descriptor
    finally:
        if not os.fstat(descriptor).st_size:
            part.unlink(missing_ok=True)
        os.close(descriptor)
