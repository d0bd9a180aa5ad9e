#!/usr/bin/env python3
"""llama.cpp as second witness: does it answer as lmwatt does, from the same files?

usage: bench/witness.py --peer DIR [-n QUERIES] WORKLOAD.jsonl MODEL.gguf...

DIR holds llama-completion. Each model answers the first QUERIES prompts of the workload greedily in both programs;
the answers must be equal to the byte. Prints a line per model, and each pair that differs. Exit status 1 when an
F16 or F32 model differs anywhere (quantised products round activations differently, so there a rare near-tie may).
"""
import argparse
import json
import os
import subprocess
import sys

END = " [end of text]"


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")
    return done.stdout


def ours(program, model, prompt):
    return json.loads(run([program, "generate", "-m", model, "-p", prompt, "--temp", "0", "-n", "128",
                           "--json"]))["answer"]


def theirs(peer, model, prompt):
    command = [os.path.join(peer, "llama-completion"), "-m", model, "-p", prompt + "\n", "-n", "128",
               "--temp", "0", "-no-cnv", "--no-display-prompt", "--no-escape", "--no-warmup", "--simple-io"]
    text = ""
    for _ in range(5):  # now and then it ends before its last output is written; then it is asked again
        text = run(command)
        if END in text:
            break
    return text.split(END)[0].strip("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", required=True)
    parser.add_argument("--program", default="build/lmwatt")
    parser.add_argument("-n", type=int, default=50)
    parser.add_argument("workload")
    parser.add_argument("models", nargs="+")
    opts = parser.parse_args()
    with open(opts.workload) as lines:
        prompts = [json.loads(line)["prompt"] for line in lines][:opts.n]
    failed = False
    for model in opts.models:
        pairs = [(p, ours(opts.program, model, p), theirs(opts.peer, model, p)) for p in prompts]
        differ = [pair for pair in pairs if pair[1] != pair[2]]
        print(f"{os.path.basename(model)}: {len(pairs) - len(differ)} of {len(pairs)} greedy answers equal",
              flush=True)
        for prompt, a, b in differ:
            print(f"  {prompt}\n    lmwatt     {a}\n    llama.cpp  {b}")
        failed |= bool(differ) and ("F16" in model or "F32" in model)
    sys.exit(failed)


main()
