"""The files of the self-test: pure builders of probes that lie in memory and are mostly holes.

Every probe carries the EICAR test file as a file of its own (68 bytes), because that is what official signature bases
find; most of them do not find its text inside other data. So size is proven with a ZIP archive: EICAR is its last
member, at the very end of a file of the wanted length, and is found only by a scanner that took in the whole file. ZIP
structures: PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.12, 4.3.16.
"""

import io
import os
import struct
import zipfile
import zlib

# In two halves, so that no scanner takes this source file for the test file.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-" + b"STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
"""The EICAR test file, https://www.eicar.org/download-anti-malware-testfile/ ."""

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_CENTRAL_HEADER = struct.Struct("<4s6H3I5H2I")
_END_RECORD = struct.Struct("<4s4H2IH")
_DOS_DATE = 0x21
_ENCRYPTED = 0x0001
_PIECE = 1 << 20


def _member(
    name: bytes, content: bytes, offset: int, *, flags: int = 0, size: int | None = None
) -> tuple[bytes, bytes]:
    """One stored member: its local part, and its entry for the central directory."""
    crc, plain_size = zlib.crc32(content), len(content) if size is None else size
    sizes = (crc, len(content), plain_size)
    local = _LOCAL_HEADER.pack(b"PK\x03\x04", 10, flags, 0, 0, _DOS_DATE, *sizes, len(name), 0) + name + content
    central = _CENTRAL_HEADER.pack(
        b"PK\x01\x02", 20, 10, flags, 0, 0, _DOS_DATE, *sizes, len(name), 0, 0, 0, 0, 0, offset
    )
    return local, central + name


def _directory(entries: list[bytes], offset: int) -> bytes:
    directory = b"".join(entries)
    return directory + _END_RECORD.pack(b"PK\x05\x06", 0, 0, len(entries), len(entries), len(directory), offset, 0)


MIN_SIZED_BYTES = 512
"""Smallest file that `sized_archive` can make."""


def sized_archive(total_bytes: int) -> int:
    """Make a ZIP file of an exact length whose last member, behind a hole, is the EICAR test file.

    Args:
        total_bytes: length of the file, at least `MIN_SIZED_BYTES`.

    Returns:
        A descriptor of a file in memory that occupies a few kilobytes; the caller closes it.
    """
    first, first_entry = _member(b"readme.txt", b"self-test of the virus scanner\n", 0)
    length_of_last = len(_member(b"eicar.com", EICAR, 0)[0])
    length_of_directory = len(_directory([first_entry, _member(b"eicar.com", EICAR, 0)[1]], 0))
    start = total_bytes - length_of_directory - length_of_last
    last, last_entry = _member(b"eicar.com", EICAR, start)
    fd = os.memfd_create("synapse_bum-self-test", os.MFD_CLOEXEC)
    try:
        os.ftruncate(fd, total_bytes)
        os.pwrite(fd, first, 0)
        os.pwrite(fd, last + _directory([first_entry, last_entry], start + len(last)), start)
    except OSError:
        os.close(fd)
        raise
    return fd


def in_memory(content: bytes) -> int:
    """Put a small probe into a file in memory; the caller closes the descriptor."""
    fd = os.memfd_create("synapse_bum-self-test", os.MFD_CLOEXEC)
    try:
        os.pwrite(fd, content, 0)
    except OSError:
        os.close(fd)
        raise
    return fd


def nested_archive(depth: int) -> bytes:
    """EICAR inside `depth` ZIP files, one in the other."""
    content, name = EICAR, "eicar.com"
    for level in range(depth):
        content, name = _zipped([(name, content)]), f"level{level}.zip"
    return content


def archive_of_many_files(count: int) -> bytes:
    """A ZIP file with `count` tiny members, EICAR the last of them."""
    return _zipped([(f"{number}.txt", b"%d" % number) for number in range(count - 1)] + [("eicar.com", EICAR)])


def encrypted_archive() -> bytes:
    """A ZIP file whose only member is marked as encrypted (general purpose bit 0); nobody can look inside."""
    # Twelve bytes of encryption header come before the data (APPNOTE 6.1.5); none of it has to decrypt to anything.
    noise = bytes((number * 73 + 41) % 256 for number in range(12 + len(EICAR)))
    local, entry = _member(b"secret.txt", noise, 0, flags=_ENCRYPTED, size=len(EICAR))
    return local + _directory([entry], len(local))


def archive_that_unpacks_to(total_bytes: int) -> bytes:
    """A small ZIP file whose only member unpacks to a `sized_archive` of `total_bytes`. Takes about 4 ms a megabyte."""
    inner = sized_archive(total_bytes)
    buffer = io.BytesIO()
    try:
        info = zipfile.ZipInfo("inner.zip")
        info.compress_type = zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(buffer, "w") as archive, archive.open(info, "w") as member:
            for offset in range(0, total_bytes, _PIECE):
                member.write(os.pread(inner, _PIECE, offset))
    finally:
        os.close(inner)
    return buffer.getvalue()


def _zipped(members: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members:
            # Compressed, so that nobody finds EICAR's text without unpacking.
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
