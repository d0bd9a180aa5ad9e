#!/usr/bin/env python3
"""lmwatt beside llama.cpp: prefill and decode of the same model files, in turn, in one run.

usage: bench/peer.py --peer DIR [-t N] [-p N] [-n N] [--rounds N] [--json] MODEL.gguf...

DIR holds llama-bench. The two programs alternate, a round each, so that a slow spell of the machine hits
both; each figure is the median over rounds, and the ratio is the median of the rounds' own ratios.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def ours(program, model, opts):
    out = json.loads(run([program, "bench", "-m", model, "-p", str(opts.p), "-n", str(opts.n),
                          "-r", "1", "-t", str(opts.t), "--json"]))
    result = out["results"][0]
    return result["prefill_tok_s"]["median"], result["decode_tok_s"]["median"]


def theirs(peer, model, opts):
    out = json.loads(run([os.path.join(peer, "llama-bench"), "-m", model, "-p", str(opts.p),
                          "-n", str(opts.n), "-r", "1", "-t", str(opts.t), "-o", "json"]))
    rate = {"prefill" if row["n_prompt"] else "decode": row["avg_ts"] for row in out}
    return rate["prefill"], rate["decode"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", required=True)
    parser.add_argument("--program", default="build/lmwatt")
    parser.add_argument("-t", type=int, default=os.cpu_count())
    parser.add_argument("-p", type=int, default=512)
    parser.add_argument("-n", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("models", nargs="+")
    opts = parser.parse_args()
    rows = []
    for model in opts.models:
        pairs = [(ours(opts.program, model, opts), theirs(opts.peer, model, opts))
                 for _ in range(opts.rounds)]
        row = {"model": os.path.basename(model), "threads": opts.t}
        for i, phase in enumerate(("prefill", "decode")):
            row[phase] = {
                "lmwatt": statistics.median(a[i] for a, _ in pairs),
                "llama.cpp": statistics.median(b[i] for _, b in pairs),
                "ratio": statistics.median(a[i] / b[i] for a, b in pairs),
            }
        rows.append(row)
        if not opts.json:
            if len(rows) == 1:
                print(f"{'model':34} {'phase':8} {'lmwatt':>10} {'llama.cpp':>10} {'ratio':>6}   (tok/s)")
            for phase in ("prefill", "decode"):
                f = row[phase]
                print(f"{row['model']:34} {phase:8} {f['lmwatt']:10.1f} {f['llama.cpp']:10.1f} "
                      f"{f['ratio']:6.2f}", flush=True)
    if opts.json:
        print(json.dumps(rows, indent=2))


main()
