#!/usr/bin/env python3
"""Writes the seed corpus of the GGUF fuzzer: small valid files that between them have every value
type and every tensor format, and one file for each lie the reader has to see through.

usage: corpus_gguf.py FOLDER
"""
import os
import struct
import sys

U8, I8, U16, I16, U32, I32, F32, BOOL, STR, ARR, U64, I64, F64 = range(13)
PACK = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "B", U64: "Q",
        I64: "q", F64: "d"}
FORMATS = {0: (1, 4), 1: (1, 2), 8: (32, 34), 12: (256, 144), 13: (256, 176), 14: (256, 210),
           30: (1, 2)}


def string(s):
    b = s if isinstance(s, bytes) else s.encode()
    return struct.pack("<Q", len(b)) + b


def value(kind, v, elem=None):
    if kind == STR:
        return string(v)
    if kind == ARR:
        return struct.pack("<IQ", elem, len(v)) + b"".join(value(elem, x) for x in v)
    return struct.pack("<" + PACK[kind], v)


def kv(key, kind, v, elem=None):
    return string(key) + struct.pack("<I", kind) + value(kind, v, elem)


def tensor(name, kind, ne, offset):
    return (string(name) + struct.pack("<I", len(ne)) + struct.pack(f"<{len(ne)}Q", *ne) +
            struct.pack("<IQ", kind, offset))


def gguf(kvs, tensors, data=b"", align=32, version=3, n_kv=None, n_tensor=None):
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors) if n_tensor is None else n_tensor,
                                 len(kvs) if n_kv is None else n_kv)
    head += b"".join(kvs) + b"".join(tensors)
    return head + bytes(-len(head) % align) + data


def every_kind():
    numbers = [U8, I8, U16, I16, U32, I32, BOOL, U64, I64]
    out = [kv(f"n.{k}", k, 1) for k in numbers] + [kv("r.f", F32, 1.5), kv("r.d", F64, -2.5)]
    out += [kv(f"a.{k}", ARR, [1, 0, 1], k) for k in numbers + [F32, F64]]
    return out + [kv("s", STR, "text"), kv("a.s", ARR, ["a", "", "bc"], STR), kv("a.none", ARR, [], U32)]


def every_format():
    entries, data = [], b""
    for kind, (block, size) in FORMATS.items():
        entries.append(tensor(f"t{kind}.weight", kind, [block, 2], len(data)))
        body = bytes((37 * i + kind) & 255 for i in range(2 * size))
        data += body + bytes(-len(body) % 32)
    return gguf([kv("general.architecture", STR, "llama")], entries, data)


def lies():
    one = [tensor("t", 0, [4], 0)]
    data = bytes(16)
    yield "magic", b"GGML" + bytes(40)
    yield "version", gguf([], [], version=1)
    yield "big_endian", gguf([], [], version=3 << 24)
    yield "n_kv", gguf([], [], n_kv=1 << 60)
    yield "n_tensor", gguf([], [], n_tensor=1 << 60)
    yield "key_len", gguf([struct.pack("<Q", 1 << 63)], [])
    yield "value_type", gguf([string("k") + struct.pack("<IQ", 13, 0)], [])
    yield "str_len", gguf([string("k") + struct.pack("<IQ", STR, (1 << 64) - 1)], [])
    yield "arr_len", gguf([string("k") + struct.pack("<IIQ", ARR, U64, 1 << 61)], [])
    yield "arr_str", gguf([string("k") + struct.pack("<IIQQ", ARR, STR, 1, 1 << 62)], [])
    yield "arr_arr", gguf([string("k") + struct.pack("<IIQ", ARR, ARR, 1)], [])
    yield "key_twice", gguf([kv("k", U8, 1)] * 2, [])
    yield "align_0", gguf([kv("general.alignment", U32, 0)], one, data)
    yield "align_3", gguf([kv("general.alignment", U32, 3)], one, data)
    yield "align_64", gguf([kv("general.alignment", U32, 64)], one, data, align=64)
    yield "dims_0", gguf([], [tensor("t", 0, [], 0)], data)
    yield "dims_5", gguf([], [tensor("t", 0, [1] * 5, 0)], data)
    yield "ne_0", gguf([], [tensor("t", 0, [0, 4], 0)], data)
    yield "ne_huge", gguf([], [tensor("t", 0, [1 << 32] * 4, 0)], data)
    yield "ne_negative", gguf([], [tensor("t", 0, [1 << 63], 0)], data)
    yield "row", gguf([], [tensor("t", 12, [255], 0)], bytes(256))
    yield "format", gguf([], [tensor("t", 2, [32], 0)], bytes(64))
    yield "offset_odd", gguf([], [tensor("t", 0, [4], 1)], data)
    yield "offset_far", gguf([], [tensor("t", 0, [4], (1 << 64) - 32)], data)
    yield "short_data", gguf([], [tensor("t", 0, [5], 0)], data)
    yield "overlap", gguf([], one + [tensor("u", 0, [4], 0)], data)
    yield "name_twice", gguf([], one + [tensor("t", 0, [4], 32)], bytes(64))


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    files = [("kinds", gguf(every_kind(), [])), ("formats", every_format()), ("empty", gguf([], []))]
    floats = struct.pack("<256I", *((i * 0x9E3779B9) & 0xFFFFFFFF for i in range(256)))
    files.append(("floats", gguf([], [tensor("w", 0, [256], 0)], floats)))
    for name, data in files + list(lies()):
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)


main()
