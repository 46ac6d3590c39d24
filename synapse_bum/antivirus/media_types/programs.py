"""Programs of the usual systems, by the names that libmagic gives them."""

from typing import Final, Literal

from synapse_bum.antivirus.media_types.content import Content
from synapse_bum.antivirus.media_types.signature import Signature


def _elf(content: Content) -> bool:
    """Class, byte order and both versions are known ones (System V ABI, "ELF Header")."""
    kind, order, version = content.at(4, 3)
    endian: Literal["big", "little"] = "little" if order == 1 else "big"
    return kind in (1, 2) and order in (1, 2) and version == 1 and content.number(20, 4, endian) == 1


def _portable_executable(content: Content) -> bool:
    """The DOS header leads to a PE header (Microsoft, "PE Format")."""
    header = content.number(0x3C, 4, "little")
    return content.at(header, 4) == b"PE\0\0" and content.number(header + 24, 2, "little") in (0x10B, 0x20B)


def _mach_o(content: Content) -> bool:
    """Processor and kind of file are known ones (`mach-o/loader.h`)."""
    order: Literal["big", "little"] = "big" if content.at(0, 1) == b"\xfe" else "little"
    return _is_processor(content.number(4, 4, order)) and 1 <= content.number(12, 4, order) <= 12


def _universal_binary(content: Content) -> bool:
    """It holds some programs for known processors (`mach-o/fat.h`)."""
    return 1 <= content.number(4, 4, "big") <= 30 and _is_processor(content.number(8, 4, "big"))


def _is_processor(number: int) -> bool:
    # The highest byte says 64 bit.
    return 1 <= number & 0x00FFFFFF <= 18


def _java_class(content: Content) -> bool:
    """The version and the first constant are known ones (Java Virtual Machine Specification section 4.1)."""
    minor, major, tag = content.number(4, 2, "big"), content.number(6, 2, "big"), content.at(10, 1)[0]
    return minor in (0, 3, 65_535) and 45 <= major <= 100 and 1 <= tag <= 20


SIGNATURES: Final = (
    Signature("application/x-executable", ((0, b"\x7fELF"),), _elf),
    Signature("application/vnd.microsoft.portable-executable", ((0, b"MZ"),), _portable_executable),
    *(
        Signature("application/x-mach-binary", ((0, magic),), _mach_o)
        for magic in (b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe")
    ),
    Signature("application/x-mach-binary", ((0, b"\xca\xfe\xba\xbe"),), _universal_binary, names_alone=False),
    Signature("application/x-java-applet", ((0, b"\xca\xfe\xba\xbe"),), _java_class),
    Signature("application/wasm", ((0, b"\0asm\1\0\0\0"),)),
    Signature("application/x-ms-shortcut", ((0, b"L\0\0\0\1\x14\2\0\0\0\0\0\xc0\0\0\0\0\0\0F"),)),
)
