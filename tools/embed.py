#!/usr/bin/env python3
"""Writes a C file that holds the bytes of other files.

usage: embed.py OUT.c NAME=FILE...   (each becomes lmw_data_NAME and lmw_data_NAME_len)
"""
import sys

out, pairs = sys.argv[1], [a.split("=", 1) for a in sys.argv[2:]]
with open(out, "w") as c:
    c.write("#include <stddef.h>\n")
    for name, path in pairs:
        data = open(path, "rb").read()
        c.write(f"extern const unsigned char lmw_data_{name}[];\nextern const size_t lmw_data_{name}_len;\n")
        c.write(f"const unsigned char lmw_data_{name}[] = {{")
        for i, byte in enumerate(data):
            c.write(("\n" if i % 24 == 0 else "") + f"{byte},")
        c.write(f"0}};\nconst size_t lmw_data_{name}_len = {len(data)};\n")
