"""Writes the files that odd.test imports: records that are easily counted wrongly, or said wrongly of."""
import json


def write(name, *runs):
    """Each run: its name, how many questions, and its fields; a field may be a function of the question's number."""
    with open(name + ".jsonl", "w") as f:
        for run, n, fields in runs:
            for i in range(n):
                told = {key: v(i) if callable(v) else v for key, v in fields.items()}
                f.write(json.dumps({"run": run, "query_id": f"q{i}", **told}) + "\n")


def first(n):
    return lambda i: int(i < n)


write("domains", ("small", 10, {"model": "Q-1B-it", "params": 10**9, "score": first(5)}),
      ("base", 10, {"model": "Q-1B", "params": 10**9, "score": first(4)}),
      ("big", 10, {"model": "Q-99B", "params": 99 * 10**9, "score": first(9)}))
write("unscored", ("u", 1, {"domain": "d"}))

measured = {"latency_ns": 10**9, "energy_uj": lambda i: 10**6 * (i + 1), "prompt_tokens": lambda i: i,
            "completion_tokens": 1, "score": 1}
write("estimates", ("e", 10, {**measured, "energy_method": "estimate"}),
      ("f", 10, {**measured, "energy_method": "estimate"}))
write("tdp", ("f", 10, {**measured, "energy_basis": "~tdp"}))

def dated(year, watts):
    return {**measured, "energy_uj": watts * 10**6, "energy_method": "estimate", "model": f"m{year}",
            "machine": f"x{year}", "model_date": str(year)}


write("estimated_years", ("a", 10, dated(2023, 8)), ("b", 10, dated(2024, 4)))
write("watts", ("a", 10, {"power_mean_mw": 1000, "latency_ns": 10**9, "score": 1}))
write("one", *(("a", 1, {**measured, "repeat": i}) for i in range(40)))

even = {"energy_uj": 10**7, "score": lambda i: i % 2}
write("alike", ("a", 10, {"model": "a", **even}), ("b", 10, {"model": "b", **even}))
write("half", ("a", 10, {"model": "a", "energy_uj": 10**7, "score": 0}), ("b", 10, {"model": "b", "score": 1}))
write("rivals", ("a", 1000, {"model": "a", "score": first(900)}), ("b", 1000, {"model": "b", "score": first(800)}),
      ("c", 10, {"model": "c", "score": first(7)}))
write("years", *((f"y{year}", 4, {"model": f"m{year}", "machine": "x", "model_date": str(year), "energy_uj": 10**6,
                                  "latency_ns": 10**9, "score": score}) for year, score in ((2023, 0), (2024, 1))))

LONG = "x" * 52 + "é"
little = {"latency_ns": 1000, "cost_usd": 1e-6, "score": 1}
write("little", (LONG + "1", 10, {**little, "energy_uj": 100}), (LONG + "2", 10, {**little, "energy_uj": 200}),
      ("cl", 10, {**little, "energy_uj": 1000}))
with open("names", "w") as f:
    f.write(f"{LONG}1,{LONG}2")
write("texts", ("u", 1, {"score": 1, "model": "a\nb", "note": "é" * 200}))

# What a terminal would obey: a clear screen, a C1 control sequence, a change of direction.
write("controls", ("c", 4, {"model": "a\x1b[2Jb\x9b2J\u202ec", "workload": "w\x07", "domain": "d\x1b]0;x", "score": first(2)}),
      ("c\x1b[2J", 4, {"workload": "w\x07", "score": first(1)}))
