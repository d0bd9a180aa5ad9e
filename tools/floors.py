#!/usr/bin/env python3
"""Checks that each room includes only its own files and the doors of lower floors.

The floors and doors are those of docs/design.md, section 2.
"""
import pathlib
import re
import sys

FLOOR = {
    "base": 0,
    "stream": 1,
    "engine": 2, "meter": 2, "workload": 2, "score": 2, "store": 2,
    "train": 3, "backend": 3, "insight": 3,
    "study": 4, "route": 4,
    "report": 5, "serve": 5,
    "cli": 6,
}
# A room's door is ROOM/ROOM.h; these are second doors, and base is open to all.
EXTRA_DOORS = {"engine/gguf.h", "score/verdict.h", "store/exchange.h", "store/scores.h", "stream/pack.h", "study/judge.h"}
ALSO = {"train": {"engine/tok.h", "engine/chat.h", "engine/quant.h"}}

root = pathlib.Path(__file__).resolve().parent.parent / "src"
bad = 0
for path in sorted(root.rglob("*.[ch]")):
    room = path.relative_to(root).parts[0]
    for n, line in enumerate(path.read_text().splitlines(), 1):
        found = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not found:
            continue
        target = found.group(1)
        other = target.split("/")[0]
        if other == room or other == "base" or target in ALSO.get(room, ()):
            continue
        door = target == f"{other}/{other}.h" or target in EXTRA_DOORS
        if other not in FLOOR:
            problem = "is no room"
        elif FLOOR[other] >= FLOOR[room]:
            problem = f"is on floor {FLOOR[other]}, not below floor {FLOOR[room]}"
        elif not door:
            problem = "is not a door"
        else:
            continue
        bad += 1
        print(f"src/{path.relative_to(root)}:{n}: {room}/ may not include \"{target}\": it {problem}")
sys.exit(bad != 0)
