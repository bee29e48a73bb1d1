# SPDX-License-Identifier: MIT
# Usage: sh train_gpt_emulated.sh EMULATED PROGRAM: train_gpt on the device that the host plays, and on the CPU; in a
# folder of its own.
set -u
. "$(dirname "$0")/../../examples/expect.sh"
tiny="--data text --context 16 --hidden 16 --heads 2 --layers 1 --feed-forward 16 --batch 2 --sample-length 8 --steps 20"
rm -rf cpu cuda bf16 stopped text out err
i=0; while [ $i -lt 60 ]; do echo "line $i of a text that a tiny model reads"; i=$((i + 1)); done > text

# losses FOLDER: one a line.
losses() { sed 's/.*"loss": \([^,]*\),.*/\1/' "$1/log.jsonl"; }
# near FOLDER FOLDER TOLERANCE: the losses of two runs, step by step.
near() {
  losses "$1" > first; losses "$2" > second
  [ "$(wc -l < first)" -eq 20 ] || fail "$1 has not logged 20 steps"
  paste first second | awk -v most="$3" '{ d = $1 - $2; if (d < 0) d = -d; if (!(d <= most)) exit 1 }' ||
    fail "the losses of $1 and $2 are not within $3"
}

program=$2
expect 0 " threads; seed 1" $tiny --run-folder cpu
program=$1
expect 1 "there is no device 1; this process sees 1" $tiny --device cuda:1
expect 0 "GPU 0" $tiny --run-folder cuda --device cuda:0
near cpu cuda 1e-4
expect 0 "weights are in bf16" $tiny --run-folder bf16 --device cuda --dtype bf16
near cpu bf16 0.05
[ "$(losses bf16)" != "$(losses cuda)" ] || fail "--dtype bf16 computes in float"

# A run that is stopped and goes on leaves what one that never stopped leaves.
"$program" $tiny --run-folder stopped --device cuda --dtype bf16 > out 2> err &
child=$!
waited=0
until [ "$(cat stopped/log.jsonl 2> /dev/null | wc -l)" -gt 3 ]; do
  waited=$((waited + 1))
  [ $waited -lt 600 ] || { kill -9 $child; fail "it does not begin"; }
  sleep 0.05
done
kill -INT $child
wait $child
[ $? = 130 ] || fail "Ctrl-C: another exit code than 130"
expect 0 "weights are in stopped" $tiny --run-folder stopped --device cuda --dtype bf16 --resume
for file in log.jsonl model.safetensors samples.txt; do
  cmp -s bf16/$file stopped/$file || fail "stopped and resumed, the run leaves another $file"
done
