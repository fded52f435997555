"""The image of sandboxes: one program, which does nothing. The worker makes it, so no registry is needed."""

import hashlib
import io
import struct
import tarfile
from collections.abc import Mapping

PROGRAM = "/pause"
_REPOSITORY = "tork-celery-sandbox"

# The programs call the kernel to wait for a signal, for ever. No signal has a handler, so each ends or stops
# the program, or is ignored.
_X86_64 = (
    b"\xb8\x22\x00\x00\x00"  # mov eax, 34    the number of pause()
    b"\x0f\x05"  # syscall
    b"\xeb\xf7"  # jmp -9         back to the start
)
_AARCH64 = struct.pack(
    "<8I",
    0xD2800000,  # mov x0, #0     no file descriptors,
    0xD2800001,  # mov x1, #0     not one
    0xD2800002,  # mov x2, #0     no timeout
    0xD2800003,  # mov x3, #0     no other signal mask
    0xD2800004,  # mov x4, #0     of no size
    0xD2800928,  # mov x8, #73    the number of ppoll(): there is no pause()
    0xD4000001,  # svc #0
    0x17FFFFF9,  # b -28          back to the start
)
_EM_X86_64 = 62
_EM_AARCH64 = 183
_PROGRAMS: Mapping[str, tuple[int, bytes]] = {
    # the number of the machine type in ELF, and the machine code
    "amd64": (_EM_X86_64, _X86_64),
    "arm64": (_EM_AARCH64, _AARCH64),
}

MACHINES = frozenset(_PROGRAMS)
"""The machine types that have a program, by the engine's names."""

_ELF_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_LOAD_ADDRESS = 0x400000
_PAGE_BYTES = 0x10000  # the largest page size of these machines


def image_name(machine: str) -> str:
    """Return the name of the image, which changes with its contents."""
    return f"{_REPOSITORY}:{hashlib.sha256(elf(machine)).hexdigest()[:12]}"


def image_archive(machine: str) -> bytes:
    """Return the file system of the image as a tar archive."""
    program = elf(machine)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo(PROGRAM.lstrip("/"))
        entry.size, entry.mode = len(program), 0o555
        tar.addfile(entry, io.BytesIO(program))
    return buffer.getvalue()


def elf(machine: str) -> bytes:
    """Return the program as a static ELF executable."""
    machine_number, code = _PROGRAMS[machine]
    code_offset = _ELF_HEADER.size + _PROGRAM_HEADER.size
    header = _ELF_HEADER.pack(
        # magic number, 64 bits, little-endian, version 1; the rest is zero: System V
        b"\x7fELF\x02\x01\x01",
        2,  # e_type: an executable
        machine_number,  # e_machine
        1,  # e_version
        _LOAD_ADDRESS + code_offset,  # e_entry: the first instruction
        _ELF_HEADER.size,  # e_phoff: the program header follows
        0,  # e_shoff: no section headers
        0,  # e_flags
        _ELF_HEADER.size,  # e_ehsize
        _PROGRAM_HEADER.size,  # e_phentsize
        1,  # e_phnum
        0,  # e_shentsize
        0,  # e_shnum
        0,  # e_shstrndx
    )
    size_bytes = code_offset + len(code)
    segment = _PROGRAM_HEADER.pack(
        1,  # p_type: to be loaded
        5,  # p_flags: readable and executable
        0,  # p_offset: the whole file
        _LOAD_ADDRESS,  # p_vaddr
        _LOAD_ADDRESS,  # p_paddr, which Linux ignores
        size_bytes,  # p_filesz
        size_bytes,  # p_memsz
        _PAGE_BYTES,  # p_align
    )
    return header + segment + code
