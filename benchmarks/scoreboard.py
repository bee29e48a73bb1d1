# SPDX-License-Identifier: MIT
"""Runs all benchmarks, each followed by its peer in PyTorch, and prints one table.

    python3 benchmarks/scoreboard.py --short
    python3 benchmarks/scoreboard.py --data tinyshakespeare.txt --json scoreboard.json

PyTorch is a peer where the Python that runs this has it. README.md says how to read the table.
"""
import argparse
import datetime
import importlib.util
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
LESS_IS_BETTER = ("s", "ms", "MB", "nats")
# What makes the libraries take an instruction set. OpenBLAS does not know the newest processors with AVX-512.
WIDEST = {"avx512": {"OPENBLAS_CORETYPE": "SkylakeX"}}
NARROWER = {
    "baseline": {"PLINTH_INSTRUCTION_SET": "baseline", "ONEDNN_MAX_CPU_ISA": "SSE41", "OPENBLAS_CORETYPE": "Core2"},
    "avx2": {"PLINTH_INSTRUCTION_SET": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "OPENBLAS_CORETYPE": "Haswell"},
}
STEPS = (["--batch", "4", "--context", "64"],
         ["--batch", "4", "--context", "256"],
         ["--batch", "1", "--context", "1024"],
         ["--batch", "4", "--context", "256", "--checkpoint", "1"])
GPU_ROWS = (("product bfloat16", "GFLOP/s"), ("attention bfloat16", "GFLOP/s"),
            ("GPT-2 124M step bfloat16 B32 T1024", "s"), ("decode bfloat16", "GB/s"))
LACKS_GPU = 77  # an exit status


def shown(command):
    return " ".join(pathlib.Path(word).name if os.sep in word else word for word in command)


class Scoreboard:
    """The rows of all programs, those of the same workload and number of threads put together."""

    def __init__(self, options):
        self.options = options
        self.rows = {}
        self.start = time.monotonic()
        self.samples = ["--samples", "3" if options.short else "9"]
        [self.limit] = self.lines([str(options.build / "limit")])
        self.threads = sorted({1, self.limit["threads"]})
        self.has_torch = importlib.util.find_spec("torch") is not None

    def lines(self, command, environment=None, may_lack_gpu=False):
        """Runs a command and returns the JSON that it printed, an object a line. None where it lacks a GPU and may."""
        print(f"{time.monotonic() - self.start:5.0f} s  {shown(command)}", file=sys.stderr, flush=True)
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})
        except OSError as error:
            sys.exit(f"scoreboard: {error.filename}: {error.strerror}; --build names the folder of the programs")
        if may_lack_gpu and done.returncode == LACKS_GPU:
            return None
        if done.returncode != 0:
            sys.exit(f"scoreboard: exit status {done.returncode} of {shown(command)}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def add(self, workload, threads, unit, results):
        row = dict(workload=workload, threads=threads, unit=unit, results={})
        self.rows.setdefault((workload, threads), row)["results"].update(results)

    def run(self, program, *words, environment=None, suffix=""):
        for row in self.lines([str(self.options.build / program), "--json", *words], environment):
            self.add(row["workload"] + suffix, row["threads"], row["unit"], row["results"])

    def run_torch(self, threads, benchmark, *words):
        if self.has_torch:
            for row in self.lines([sys.executable, str(HERE / "pytorch_peers.py"), "--limit",
                                   str(self.options.build / "limit"), "--threads", str(threads), benchmark, *words]):
                self.add(**row)

    # ---- the programs ----------------------------------------------------------------------------------------------
    def run_gemm(self):
        widest = self.limit["instruction_set"]
        self.run("gemm", *self.samples, "--threads", *map(str, self.threads), environment=WIDEST.get(widest))
        for threads in self.threads:
            self.run_torch(threads, "gemm", *self.samples)
        for narrower, environment in NARROWER.items():
            if narrower == widest:
                break
            self.run("gemm", "--samples", "3", "--types", "float", "--forms", "NT", "--threads", "1",
                     environment=environment, suffix=", " + narrower)

    def run_attention(self):
        contexts = ["--contexts", "1024", "2048", "4096"] + ([] if self.options.short else ["16384"])
        for threads in self.threads[-1:] if self.options.short else self.threads:
            self.run("attention", *self.samples, "--threads", str(threads), *contexts)
            self.run_torch(threads, "attention", *self.samples, *contexts)

    def run_training_step(self):
        most, short = self.threads[-1], self.options.short
        ours, theirs = (["--steps", steps] for steps in (("3", "2") if short else ("7", "7")))
        for step in STEPS:
            for element in ("float", "bfloat16"):
                self.run("training_step", "--threads", str(most), "--type", element, *step, *ours)
                self.run_torch(most, "training_step", "--type", element, *step, *theirs)
                if not short and "--checkpoint" not in step:
                    self.run_torch(most, "training_step", "--type", element, "--compile", *step, *theirs)
        if most > 1:
            self.run("training_step", "--threads", "1", *STEPS[0 if short else 1], *ours)

    def run_recipe(self):
        *runs, comparison = self.lines(
            [sys.executable, str(HERE / "nanogpt_recipe.py"), "--data", self.options.data, "--seed", "1", "2", "3",
             "--against", str(self.options.build / "nanogpt_recipe")])
        seconds = {name: statistics.median(run["seconds"] for run in runs if ("torch" in run) == (name == "PyTorch"))
                   for name in ("Plinth", "PyTorch")}
        loss = {"Plinth": comparison["plinth_loss"], "PyTorch": comparison["torch_loss"]}
        for what, unit, values in (("seconds", "s", seconds), ("validation loss", "nats", loss)):
            self.add("nanoGPT recipe, 3 seeds, " + what, self.threads[-1], unit,
                     {name: dict(value=value) for name, value in values.items()})
        self.rows["nanoGPT recipe, 3 seeds, seconds", self.threads[-1]]["to_best_peer"] = 1 / comparison["time_ratio"]

    def run_gpu(self):
        """The rows of gpu.cu, or why there are none."""
        program = self.options.gpu
        if not program.exists():
            return self.lack_gpu("no program: gpu_check.sh builds it")
        rows = self.lines([str(program), "--json"], may_lack_gpu=True)
        if rows is None:
            return self.lack_gpu("no GPU")
        peers = self.lines([sys.executable, str(HERE / "pytorch_gpu_peers.py")], may_lack_gpu=True) if self.has_torch else None
        ours = {row["workload"] for row in rows}
        for row in rows + [row for row in peers or [] if row["workload"] in ours]:
            self.add(**row)

    def lack_gpu(self, why):
        for workload, unit in GPU_ROWS:
            self.add("GPU " + workload, 1, unit, {"Plinth": dict(missing=why)})

    # ---- what follows from their rows ------------------------------------------------------------------------------
    def finish(self):
        """Adds to every row the limit, in its unit, and how many times as good as its best peer Plinth is."""
        for row in self.rows.values():
            ours, less = row["results"]["Plinth"], row["unit"] in LESS_IS_BETTER
            if "missing" in ours:
                continue
            if "share" in ours:
                row["limit"] = ours["value"] * ours["share"] if less else ours["value"] / ours["share"]
            ratios = [times_as_good(ours, peer, less) for name, peer in row["results"].items() if name != "Plinth"]
            if ratios:
                row.setdefault("to_best_peer", min(ratios))

    def add_means(self):
        """Geometric means over the shapes of the matrix product, of every column."""
        families = [(f"GEMM {kind}{form}", "") for kind in ("float", "bfloat16")
                    for form in ("", " NT", " NN", " TN", " packed")]
        for family, suffix in families + [("GEMM float NT", f", {narrower}") for narrower in NARROWER]:
            part = re.compile(f"{family}( \\w\\w)? \\d+ x \\d+ x \\d+{suffix}")
            for threads in self.threads:
                rows = [row for (workload, count), row in self.rows.items()
                        if count == threads and part.fullmatch(workload)]
                if rows:
                    self.add_mean(f"{family}{suffix}, mean of {len(rows)} shapes", threads, rows)

    def add_mean(self, workload, threads, rows):
        def mean(of):
            return statistics.geometric_mean(map(of, rows))
        names = [name for name in rows[0]["results"] if all(name in row["results"] for row in rows)]
        self.add(workload, threads, rows[0]["unit"], {
            name: {key: mean(lambda row: row["results"][name][key]) for key in ("value", "share")} for name in names})
        for column in ("limit", "to_best_peer"):
            if all(column in row for row in rows):
                self.rows[workload, threads][column] = mean(lambda row: row[column])

    def add_speed_ups(self):
        """All threads over one, beside what the limit gains."""
        for (workload, threads), many in list(self.rows.items()):
            one = self.rows.get((workload, 1))
            if threads == 1 or not one or "limit" not in one or re.match(r"GEMM \w+ \w\w", workload):
                continue
            def gain(quantity):
                return 1 / quantity if many["unit"] in LESS_IS_BETTER else quantity
            slow, fast = one["results"]["Plinth"], many["results"]["Plinth"]
            self.add(f"{workload}, {threads} threads over 1", threads, "times", {"Plinth": dict(
                value=gain(fast["value"] / slow["value"]), share=fast["share"] / slow["share"])})
            self.rows[f"{workload}, {threads} threads over 1", threads]["limit"] = gain(many["limit"] / one["limit"])


def times_as_good(ours, peer, less_is_better):
    """By the parts of the limit where both have them: the machine may have been slower when the peer ran."""
    if "share" in ours and "share" in peer:
        return ours["share"] / peer["share"]
    return peer["value"] / ours["value"] if less_is_better else ours["value"] / peer["value"]


def place(row):
    """The matrix product's means first, its shapes last."""
    if not row["workload"].startswith("GEMM"):
        return 1
    return 2 if is_shape(row) else 0


def is_shape(row):
    return re.match(r"GEMM .* x ", row["workload"]) is not None


def is_shown(row):
    """All but the single shapes of more than one thread and of narrower instruction sets, whose means are enough."""
    return not is_shape(row) or row["threads"] == 1 and "," not in row["workload"]


def markdown(rows):
    def number(value):
        return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"
    lines = ["| workload | threads | unit | Plinth | peers | limit | to the best peer | of the limit |",
             "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        results = dict(row["results"])
        ours = results.pop("Plinth")
        peers = ", ".join(f"{name} {number(peer['value'])}" for name, peer in results.items())
        quotients = [f"{value:.2f}" if value else "" for value in (row.get("to_best_peer"), ours.get("share"))]
        limit = number(row["limit"]) if "limit" in row else ""
        value = ours.get("missing") or number(ours["value"])
        cells = [row["workload"], str(row["threads"]), row["unit"], value, peers, limit, *quotients]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent / "build/benchmarks/benchmarks",
                        metavar="FOLDER", help="where the programs are (default: build/benchmarks/benchmarks)")
    parser.add_argument("--gpu", type=pathlib.Path, default=HERE.parent / "build/gpu_check/gpu", metavar="PROGRAM",
                        help="the GPU's benchmark (default: build/gpu_check/gpu)")
    parser.add_argument("--short", action="store_true", help="fewer samples and workloads: some five minutes")
    parser.add_argument("--data", metavar="FILE", help="a text to train nanoGPT's recipe on, which takes minutes")
    parser.add_argument("--json", metavar="FILE", help="write all rows there too")
    options = parser.parse_args()
    options.build = options.build.resolve()
    board = Scoreboard(options)
    if not board.has_torch:
        print("scoreboard: no PyTorch among the peers: this Python does not have it", file=sys.stderr)
    if options.data and not board.has_torch:
        parser.error("--data needs PyTorch")
    board.run_gemm()
    board.run_attention()
    board.run_training_step()
    board.run("checkpointing", *board.samples)
    board.run_gpu()
    if options.data:
        board.run_recipe()
    board.finish()
    board.add_means()
    board.add_speed_ups()
    rows = sorted(board.rows.values(), key=place)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(dict(date=datetime.date.today().isoformat(), limit=board.limit, rows=rows), file, indent=1)
    print(markdown(filter(is_shown, rows)))


if __name__ == "__main__":
    main()
