"""Decisions from published numbers: decisions.py LMWATT DATA_FOLDER mmlu_pro | mlenergy

mmlu_pro: which of 16 models answered which of 12,032 questions rightly. Accuracies by model and category must equal the
published table to its rounding; coverage, tiers and the oracle's share must equal what is counted here from the matrix,
without the program.

mlenergy: joules, seconds and accuracy of the chat models of 2023 on three GPUs. IPJ, its ranking and the Pareto front must
equal what is computed here from the CSV files.

Exits with 77 where the data is not there.
"""
import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile

program, data, which = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
folder = data / ("mlenergy_2023" if which == "mlenergy" else which)
n_bad = 0


def check(ok, *what):
    global n_bad
    if not ok:
        n_bad += 1
        if n_bad <= 20:
            print("not so:", *what)


def near(a, b, relative=1e-9):
    return a is not None and b is not None and abs(a - b) <= relative * max(abs(a), abs(b))


def lmwatt(*args):
    done = subprocess.run([program, *args], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"lmwatt {' '.join(args)}: {done.returncode}: {done.stderr}")
    return done.stdout


def ask(*args):
    return json.loads(lmwatt(*args, "--json"))


# Billions of parameters by the models' names; of the two that are served only, nobody says.
PARAMS = {
    "Llama-2-70b-hf": 69, "Llama-2-7b-hf": 6.7, "Meta-Llama-3-8B": 8.03, "Meta-Llama-3_1-70B-Instruct": 70.6,
    "Meta-Llama-3_1-8B-Instruct": 8.03, "Mistral-7B-Instruct-v0.2": 7.24, "Mistral-7B-v0.1": 7.24,
    "Mixtral-8x7B-v0.1": 46.7, "Phi-3-mini-4k-instruct": 3.82, "Qwen1.5-110B": 111, "Qwen1.5-7B-Chat": 7.72,
    "Yi-34B": 34.4, "Yi-6B": 6.06, "mathstral-7B": 7.25,
}


def records_of_matrix(rows, models, out):
    """One record a question and model; a model whose file lacks a question has no record of it."""
    with open(out, "w", encoding="utf-8") as f:
        for model in models:
            params = PARAMS.get(model)
            for r in rows:
                if r[model] != "?":
                    record = {"query_id": r["question_id"], "workload": "mmlu_pro", "domain": r["category"],
                              "model": model, "score": int(r[model])}
                    if params:
                        record["params"] = round(params * 1e9)
                    f.write(json.dumps(record) + "\n")


def check_wide(prefix, wide, db):
    """The published file as it is, through a map, gives the records that were written out here."""
    lmwatt("import", str(folder / "correct_matrix.tsv"), "--run", wide, "-w", "mmlu_pro", "--store", db,
           "--map", "query_id=question_id,domain=category,reference=answer,score=*")
    got = {r["run"]: r for r in ask("report", prefix, wide, "--store", db)["runs"]}
    for run, r in got.items():
        other = got[run.replace(prefix, wide, 1)]
        check(r["n_record"] == other["n_record"] and r["accuracy"] == other["accuracy"], "wide", run, other["accuracy"])


def check_table(rows, models, db):
    """The published accuracies, to the four digits they are printed with."""
    report = ask("report", "--store", db, "--by", "domain")
    by_model = {r["model"]: r for r in report["runs"]}
    with open(folder / "accuracy_by_model_category.tsv", encoding="utf-8") as f:
        table = {r["model"]: r for r in csv.DictReader(f, delimiter="\t")}
    check(set(table) == set(by_model) == set(models), "models", set(table) ^ set(by_model))
    for model, want in table.items():
        check(by_model[model]["n_record"] == int(want["n"]), model, "n", by_model[model]["n_record"], want["n"])
        got = by_model[model]["accuracy"]["value"]
        check(abs(got - float(want["accuracy_no_guess"])) <= 0.5001e-4, model, got, want["accuracy_no_guess"])
    run_model = {r["run"]: r["model"] for r in report["runs"]}
    n_cell = 0
    for c in report["breakdowns"][0]["cells"]:
        want = table[run_model[c["run"]]][c["value"]]
        check(abs(c["accuracy"]["value"] - float(want)) <= 0.5001e-4, c["run"], c["value"], c["accuracy"]["value"], want)
        n_cell += 1
    check(n_cell == len(models) * 14, "cells", n_cell)


def right_of(rows, models):
    """Of each question, the models that answer it."""
    return [{m for m in models if r[m] == "1"} for r in rows]


def check_coverage(rows, models, cloud, db):
    local = [m for m in models if m not in cloud]
    args = [a for c in cloud for a in ("--cloud", c)]
    got = ask("domains", "--store", db, *args)
    right = right_of(rows, models)
    names = {r["run"]: r["model"] for r in got["runs"]}
    for part in [*got["domains"], got["all"]]:
        at = [i for i, r in enumerate(rows) if part["domain"] in (None, r["category"])]
        check(part["n"] == len(at), part["domain"], part["n"], len(at))
        for run, c in part["coverage"].items():
            asked = [i for i in at if rows[i][names[run]] != "?"]
            check(c["n"] == len(asked), part["domain"], run, "n")
            check(c["n_right"] == sum(names[run] in right[i] for i in asked), part["domain"], run, "right")
        best = sum(bool(right[i] & set(local)) for i in at)
        check(part["best_of_local"]["n_right"] == best, part["domain"], "best of local", best)
        check(near(part["best_of_local"]["value"], best / len(at)), part["domain"], "share")
        only = sum(bool(right[i] & set(cloud)) and not right[i] & set(local) for i in at)
        check(part["only_cloud"] == only, part["domain"], "only cloud", only)
        single = max((sum(m in right[i] for i in at) / sum(rows[i][m] != "?" for i in at), m) for m in local)
        share = part["coverage"][part["best_local"]]["value"]
        check(near(share, single[0]), part["domain"], "best single", part["best_local"], single)
    return got


def check_tiers(rows, models, got):
    right = right_of(rows, models)
    known = sorted({round(PARAMS[m] * 1e9) for m in models if m in PARAMS})
    count = dict.fromkeys([*known, None], 0)
    for r in right:
        solved = [round(PARAMS[m] * 1e9) for m in r if m in PARAMS]
        count[min(solved) if solved else None] += 1
    check([t["params"] for t in got["tiers"]] == [*known, None], "tiers")
    for t in got["tiers"]:
        check(t["n"] == count[t["params"]], "tier", t["params"], t["n"], count[t["params"]])
    check(got["tiers_left_out"] == len([m for m in models if m not in PARAMS]), "left out")


def check_oracle(rows, models, cloud, prefix, db):
    """The oracle keeps local what any local model answers, of the questions that all were asked."""
    local = [m for m in models if m != cloud]
    got = ask("route", "simulate", "--store", db, "--local", ",".join(f"{prefix}/{m}" for m in local),
              "--cloud", f"{prefix}/{cloud}")
    common = [r for r in rows if all(r[m] != "?" for m in models)]
    right = right_of(common, models)
    strategies = {s["name"]: s for s in got["strategies"]}
    share = sum(bool(r & set(local)) for r in right) / len(common)
    either = sum(bool(r) for r in right) / len(common)
    check(near(strategies["oracle"]["share_local"], share), "oracle", strategies["oracle"]["share_local"], share)
    check(near(strategies["oracle"]["accuracy"], either), "oracle's accuracy", strategies["oracle"]["accuracy"], either)
    alone = sum(cloud in r for r in right) / len(common)
    check(near(strategies["always-cloud"]["accuracy"], alone), "always-cloud", alone)


def check_comparison(rows, prefix, db):
    """Two of them: who alone is right, and the sign test from Python's integers."""
    from math import comb
    a, b = "Yi-6B", "Qwen1.5-7B-Chat"
    got = ask("compare", f"{prefix}/{a}", f"{prefix}/{b}", "--store", db)
    only_a = sum(r[a] == "1" and r[b] == "0" for r in rows)
    only_b = sum(r[b] == "1" and r[a] == "0" for r in rows)
    check(got["all"]["only_a"] == only_a and got["all"]["only_b"] == only_b, "disagreement", got["all"])
    n, k = only_a + only_b, min(only_a, only_b)
    p = 2 * sum(comb(n, i) for i in range(k + 1)) / 2**n
    check(near(got["sign_test"]["p"], p, 1e-6), "sign test", got["sign_test"]["p"], p)
    check(near(got["figures"]["accuracy"]["difference"]["value"], (only_b - only_a) / len(rows)), "difference")


def mmlu_pro(folder_out):
    db, lines = f"{folder_out}/s.db", f"{folder_out}/r.jsonl"
    with open(folder / "correct_matrix.tsv", encoding="utf-8") as f:
        rows = list(csv.DictReader(f, delimiter="\t"))
    models = [m for m in rows[0] if m not in ("question_id", "category", "answer")]
    cloud = [m for m in models if m.startswith("gemini")]
    records_of_matrix(rows, models, lines)
    lmwatt("import", lines, "--run", "mmlu", "--store", db)
    check_table(rows, models, db)
    check_tiers(rows, models, check_coverage(rows, models, cloud, db))
    check_oracle(rows, models, cloud[-1], "mmlu", db)
    check_comparison(rows, "mmlu", db)
    check_wide("mmlu", "wide", db)


def mlenergy(folder_out):
    db, lines = f"{folder_out}/s.db", f"{folder_out}/r.jsonl"
    with open(folder / "score.csv", encoding="utf-8") as f:
        score = {r["model"]: sum(float(r[k]) for k in ("arc", "hellaswag", "truthfulqa")) / 300 for r in csv.DictReader(f)}
    want = {}
    with open(lines, "w", encoding="utf-8") as out:
        for gpu in ("A100", "A40", "V100"):
            with open(folder / f"{gpu}_chat_benchmark.csv", encoding="utf-8") as f:
                for r in csv.DictReader(f):
                    if r.get("batch_size", "1") != "1" or r["model"] not in score:
                        continue
                    run = f"{gpu}/{r['model'].replace('/', '_')}"
                    want[run] = (score[r["model"]], round(float(r["energy"]) * 1e6) / 1e6)
                    out.write(json.dumps({
                        "run": run, "query_id": "mean of all", "workload": "chat-2023", "model": r["model"], "machine": gpu,
                        "score": score[r["model"]], "energy_uj": round(float(r["energy"]) * 1e6), "energy_valid": True,
                        "energy_method": "imported", "energy_basis": "nvml:gpu", "latency_ns": round(float(r["latency"]) * 1e9),
                        "completion_tokens": round(float(r["response_length"]))}) + "\n")
    check(len(want) > 30, "rows", len(want))
    lmwatt("import", lines, "--store", db)
    got = {r["run"]: r for r in ask("report", "--store", db)["runs"]}
    check(set(got) == set(want), "runs", set(got) ^ set(want))
    for run, (accuracy, joules) in want.items():
        check(near(got[run]["ipj"]["value"], accuracy / joules), run, got[run]["ipj"], accuracy / joules)
    ranking = sorted(want, key=lambda r: -want[r][0] / want[r][1])
    check(sorted(got, key=lambda r: -got[r]["ipj"]["value"]) == ranking, "ranking")
    front = {r for r in want if not any(
        o[0] >= want[r][0] and o[1] <= want[r][1] and o != want[r] for o in want.values())}
    rows = ask("pareto", "--store", db)["rows"]
    check({r["run"] for r in rows if r["front"]} == front, "front", front)
    for r in rows:
        check(r["front"] or want[r["dominated_by"][0]][0] >= want[r["run"]][0], r["run"], "dominated by")


if not folder.is_dir():
    print(f"skipped: no {folder}")
    sys.exit(77)
os.environ.pop("LMW_STORE", None)
with tempfile.TemporaryDirectory() as temporary:
    {"mmlu_pro": mmlu_pro, "mlenergy": mlenergy}[which](temporary)
print(f"{which}: {n_bad} findings")
sys.exit(n_bad != 0)
