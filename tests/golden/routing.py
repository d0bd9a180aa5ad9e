"""Routing on real answers: routing.py LMWATT DATA_FOLDER

Which of four published models answered which of 12,032 questions of MMLU-Pro rightly: three local ones and a larger one for
the cloud. Nobody metered them; their joules here are made of parameters and the length of what they wrote. Accuracies,
shares and savings of every strategy must equal what is computed here, without the program. A router fitted on the questions'
texts must beat the base rate on questions it has not seen, be calibrated, and say the same when it is read back.

Exits with 77 where the data is not there.
"""
import csv
import json
import pathlib
import subprocess
import sys
import tempfile

program, folder = sys.argv[1], pathlib.Path(sys.argv[2]) / "mmlu_pro"
LOCAL = {"Phi-3-mini-4k-instruct": 3.8e9, "mathstral-7B": 7.2e9, "Meta-Llama-3_1-8B-Instruct": 8e9}
CLOUD = {"Meta-Llama-3_1-70B-Instruct": 70e9}
MODELS = {**LOCAL, **CLOUD}
cloud = next(iter(CLOUD))
n_bad = 0


def check(ok, *what):
    global n_bad
    if not ok:
        n_bad += 1
        print("not so:", *what)


def near(got, want, name, tolerance=1e-6):
    check(got is not None and abs(got - want) <= tolerance, name, got, want)


def lmwatt(*args):
    done = subprocess.run([program, *args], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"lmwatt {' '.join(args)}: {done.returncode}: {done.stderr}")
    return done.stdout


def ask(*args):
    return json.loads(lmwatt("route", *args, "--json"))


def table(name):
    with open(folder / name, encoding="utf-8") as f:
        return {r["question_id"]: r for r in csv.DictReader(f, delimiter="\t")}


def microjoules(model, chars):
    return round(MODELS[model] * 1e-9 * (100 + int(chars) / 4) * 2e4)


def write_records(right, chars, out):
    with open(folder / "questions.jsonl", encoding="utf-8") as f, open(out, "w", encoding="utf-8") as to:
        questions = [json.loads(line) for line in f]
        for model in MODELS:
            for q in questions:
                key = str(q["question_id"])
                to.write(json.dumps({
                    "query_id": key, "workload": "mmlu_pro", "domain": q["category"], "model": model,
                    "prompt": "\n".join([q["question"], *q["options"]]), "score": int(right[key][model]),
                    "energy_uj": microjoules(model, chars[key][model]), "energy_method": "imported"}) + "\n")


def oracle(key, right, joules):
    able = [m for m in LOCAL if right[key][m] == "1"]
    return min(able, key=lambda m: joules[key][m]) if able else cloud


def check_strategies(right, joules, db):
    by = {s["name"]: s for s in ask("simulate", "--store", db, "--local", ",".join("r/" + m for m in LOCAL), "--cloud",
                                    "r/" + cloud, "--semantics", "all")["strategies"]}
    n = len(right)
    mean = {m: sum(joules[k][m] for k in right) / n for m in MODELS}
    accuracy = {m: sum(right[k][m] == "1" for k in right) / n for m in MODELS}
    cheapest = min(LOCAL, key=lambda m: mean[m])
    near(by["always-local"]["accuracy"], accuracy[cheapest], "always-local")
    near(by["always-cloud"]["accuracy"], accuracy[cloud], "always-cloud")
    near(by["random"]["accuracy"], accuracy[cloud] / 2 + sum(accuracy[m] for m in LOCAL) / 6, "random")
    near(by["random"]["energy_saving"], 0.5 - sum(mean[m] for m in LOCAL) / 6 / mean[cloud], "random")
    choice = {k: oracle(k, right, joules) for k in right}
    share = sum(c != cloud for c in choice.values()) / n
    saving = 1 - sum(joules[k][choice[k]] for k in right) / n / mean[cloud]
    best = sum(right[k][choice[k]] == "1" for k in right) / n
    near(by["oracle"]["share_local"], share, "oracle's share")
    near(by["oracle"]["energy_saving"], saving, "oracle's saving")
    near(by["oracle"]["accuracy"], best, "oracle's accuracy")
    for r in (0.6, 0.8):
        near(by[f"router-{r:.2f}"]["energy_saving"], r * saving, f"router {r}")
        near(by[f"router-{r:.2f}"]["accuracy"], r * best + (1 - r) * accuracy[cloud], f"router {r}")
        near(by[f"router-{r:.2f}-cascade"]["energy_saving"], r * saving - (1 - r) * mean[cheapest] / mean[cloud],
             f"cascade {r}")
        turned = {k: cheapest if choice[k] == cloud else cloud for k in right}
        near(by[f"router-{r:.2f}-symmetric"]["accuracy"],
             r * best + (1 - r) * sum(right[k][turned[k]] == "1" for k in right) / n, f"symmetric {r}")
    check(by["oracle"]["compute_saving"] is None and by["oracle"]["cost_saving"] is None, "unknown is null")


def hull_height(points, price):
    """The best accuracy that a coin between two of the points buys for the price."""
    best = max((a for p, a in points if p <= price), default=0)
    for p, a in points:
        for r, b in points:
            if p <= price < r and b > a:
                best = max(best, a + (b - a) * (price - p) / (r - p))
    return best


def reaching(gains, part):
    for (x, low), (y, high) in zip([(0, 0), *gains], gains):
        if high >= part:
            return y if y == 0 else x + (part - low) / (high - low) * (y - x)
    return None


def check_curves(right, joules, db):
    out = ask("simulate", "--store", db, "--local", ",".join("r/" + m for m in LOCAL), "--cloud", "r/" + cloud, "--curve")
    n = len(right)
    mean = {m: sum(joules[k][m] for k in right) / n for m in MODELS}
    accuracy = {m: sum(right[k][m] == "1" for k in right) / n for m in MODELS}
    cheapest = min(LOCAL, key=lambda m: mean[m])
    low, high, gap = min(mean.values()), max(mean.values()), accuracy[cloud] - accuracy[cheapest]
    choice = {k: oracle(k, right, joules) for k in right}
    # to the cloud first: what only it knows, then what nobody does, what both do, what only a local model does
    order = sorted(right, key=lambda k: 3 - int(right[k][cloud]) if choice[k] != cloud else 1 - int(right[k][cloud]))
    for c in out["curves"]:
        points = [(p["price"] / 1e-6, p["accuracy"]) for p in c["points"]]
        gains = [(p["share_cloud"], (p["accuracy"] - accuracy[cheapest]) / gap) for p in c["points"]]
        area = sum((y - x) * (a + b) / 2 for (x, a), (y, b) in zip(gains, gains[1:]))
        near(c["apgr"], area, "APGR of " + c["name"], 1e-9)
        near(c["cpt50"], reaching(gains, 0.5), "CPT(50) of " + c["name"], 1e-9)
        near(c["cpt80"], reaching(gains, 0.8), "CPT(80) of " + c["name"], 1e-9)
        ends = [(mean[m], accuracy[m]) for m in (cheapest, cloud)]
        heights = [hull_height(points + ends, low + (high - low) * (i + 0.5) / 500) for i in range(500)]
        near(c["aiq"], sum(heights) / 500, "AIQ of " + c["name"], 1e-4)
        for i in (0, 13, 50, 100):
            sent = set(order[:n * i // 100])
            used = {k: cloud if k in sent else cheapest if choice[k] == cloud else choice[k] for k in right}
            if c["name"] == "oracle":
                near(c["points"][i]["accuracy"], sum(right[k][used[k]] == "1" for k in right) / n, "curve")
                near(c["points"][i]["price"] / 1e-6, sum(joules[k][used[k]] for k in right) / n, "curve", 1)


def check_router(right, db, path):
    local = "r/Meta-Llama-3_1-8B-Instruct"
    out = ask("fit", "--store", db, "--local", local, "--cloud", "r/" + cloud, "--kind", "logistic", "-o", path)
    router, fitted = out["router"], {s["name"]: s for s in out["strategies"]}["fitted-logistic"]
    curve = {c["name"]: c for c in out["curves"]}
    print("AUC", router["auc"], "Brier", router["brier"], "of", router["brier_of_base"], "APGR",
          curve["fitted-logistic"]["apgr"])
    check(router["auc"] > 0.6, "AUC", router["auc"])
    check(router["brier"] < 0.96 * router["brier_of_base"], "Brier", router["brier"])
    for b in router["calibration"]:
        check(b["n"] < 500 or abs(b["trust"] - b["right"]) < 0.05, "calibration", b)
    check(curve["fitted-logistic"]["apgr"] > curve["random"]["apgr"], "APGR", curve["fitted-logistic"]["apgr"])
    check(fitted["quality_kept"] >= 0.95 and fitted["energy_saving"] > 0.05, "fitted", fitted)
    again = ask("simulate", "--store", db, "--router", path)
    check(again["queries"] + again["seen_by_router"] == len(right), "questions", again["queries"])
    check(again["seen_by_router"] == router["n_train"], "seen", again["seen_by_router"], router["n_train"])
    kept = {s["name"]: s for s in again["strategies"]}["fitted-logistic"]
    near(kept["quality_kept"], fitted["quality_kept"], "quality on the fold held out", 0.04)


def main():
    if not (folder / "correct_matrix.tsv").exists():
        print(f"skipped: {folder} is not there")
        sys.exit(77)
    right, chars = table("correct_matrix.tsv"), table("output_chars.tsv")
    joules = {k: {m: microjoules(m, chars[k][m]) for m in MODELS} for k in right}
    with tempfile.TemporaryDirectory() as temp:
        records, db = temp + "/records.jsonl", temp + "/routing.db"
        write_records(right, chars, records)
        lmwatt("import", records, "--run", "r", "--store", db)
        check_strategies(right, joules, db)
        check_curves(right, joules, db)
        check_router(right, db, temp + "/router.json")
    print("failed" if n_bad else "as computed here")
    sys.exit(n_bad > 0)


main()
