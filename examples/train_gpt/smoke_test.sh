# SPDX-License-Identifier: MIT
# Usage: sh smoke_test.sh PROGRAM, in a folder that may be emptied of run/, text and the like.
set -u
. "$(dirname "$0")/../expect.sh"
tiny="--context 16 --hidden 16 --heads 2 --layers 1 --feed-forward 16 --batch 2 --sample-length 20"
rm -rf run whole empty text out err
mkdir empty
i=0; while [ $i -lt 200 ]; do echo "line $i of a text that a tiny model reads"; i=$((i + 1)); done > text

# It trains, compares and writes.
expect 0 "weights are in run" --data text --run-folder run --steps 3 $tiny --prompt "line "
for file in log.jsonl loss.svg report.html model.safetensors samples.txt; do [ -s run/$file ] || fail "run/$file is missing"; done
[ "$(wc -l < run/log.jsonl)" -eq 3 ] || fail "run/log.jsonl has not a line for each step"
grep -q '"step": 3, "loss": [0-9.]*, "learning_rate": ' run/log.jsonl || fail "run/log.jsonl lacks the last step"
grep -q "n-gram, 5 bytes of context" out && grep -q "GPT,  16 bytes of context" out || fail "no table"
grep -q "<tr><th>--hidden</th><td>16</td></tr>" run/report.html || fail "run/report.html lacks an option"
grep -q "^line " out && grep -q "^line " run/samples.txt || fail "no sample"

# The same seed gives the same log.
cp run/log.jsonl first
expect 0 "weights are in run" --data text --run-folder run --steps 3 $tiny --prompt "line "
cmp -s first run/log.jsonl || fail "two runs with one seed differ"

# Wrong usage.
expect 2 "--hidden 16 and --heads 3: the heads must divide" --hidden 16 --heads 3
expect 2 "even number of channels per head" --hidden 12 --heads 4
expect 2 "--learning-rate: nan is not a number" --learning-rate nan
expect 2 "--steps: 0 is not" --steps 0
expect 2 "--prompt is empty" --prompt ""
expect 2 "--bogus" --bogus
expect 2 "--device: gpu is neither cpu nor cuda nor cuda:NUMBER" --device gpu
expect 2 "--device: cuda:1x is neither" --device cuda:1x
expect 2 "--dtype bf16 needs --device cuda" --dtype bf16
expect 1 "compiled without CUDA; build the target train_gpt_cuda" --device cuda
expect 0 "" --version
expect 0 "" --help
grep -q "Example: train_gpt" out || fail "--help shows no example"

# What fails while it runs.
expect 1 "no_such_file: No such file" --data no_such_file
expect 1 "empty: the folder has no files" --data empty
echo small > empty/file
expect 1 "the text has 6 bytes, too few for a context of 128" --data empty
expect 1 "text: the folder cannot be made" --data text --run-folder text $tiny
expect 1 "text/run: the folder cannot be made" --data text --run-folder text/run $tiny
expect 1 "is not finite; the weights are those before this step: lower the learning rate" --data text --run-folder run --steps 50 --warmup 0 $tiny --learning-rate 10 --weight-decay 100
if [ -e /dev/full ]; then
  rm -f run/log.jsonl; ln -s /dev/full run/log.jsonl
  expect 1 "run/log.jsonl: cannot be written: No space left" --data text --run-folder run --steps 3 $tiny
  rm run/log.jsonl
fi

# Ctrl-C stops it after saving a checkpoint, from which it goes on; so it does after it was killed. In the end everything
# is what a run that was never stopped leaves.
long="--data text --steps 2000 --save-every 100 $tiny --dropout 0.1 --accumulation 2"
other="--data text --steps 2000 --context 16 --layers 1 --feed-forward 16 --batch 2 --dropout 0.1 --accumulation 2"
# start_and_stop SIGNAL CODE ARGUMENTS...: once it has logged more than before.
start_and_stop() {
  signal=$1 code=$2; shift 2
  before=$(cat run/log.jsonl 2> /dev/null | wc -l)
  "$program" "$@" > out 2> err &
  child=$!
  waited=0
  until [ "$(cat run/log.jsonl 2> /dev/null | wc -l)" -gt $((before + 8)) ]; do
    waited=$((waited + 1))
    [ $waited -lt 600 ] || { kill -9 $child; fail "it does not begin"; }
    sleep 0.05
  done
  kill -"$signal" $child
  wait $child
  got=$?
  [ $got = "$code" ] || fail "SIG$signal: exit code $got, not $code"
}
rm -rf run
start_and_stop INT 130 $long --run-folder run
grep -q "stopped; go on with --resume" err || fail "interrupted: nothing is said of --resume"
[ -s run/model.safetensors ] || fail "interrupted: nothing was saved"
expect 1 "there is a run that was stopped; go on with it by --resume" $long --run-folder run
expect 1 '"model.head_size" is 8 in the checkpoint but 4 here' $other --run-folder run --resume --hidden 16 --heads 4
expect 1 '"model.head_size" is 8 in the checkpoint but 16 here' $other --run-folder run --resume --hidden 32 --heads 2
expect 1 "the run had seed 1, not 2" $long --run-folder run --resume --seed 2
start_and_stop KILL 137 $long --run-folder run --resume
start_and_stop INT 130 $long --run-folder run --resume
expect 0 "weights are in run" $long --run-folder run --resume
[ ! -e run/checkpoints ] || fail "a run that is done leaves checkpoints"
expect 0 "weights are in whole" $long --run-folder whole
for file in log.jsonl loss.svg model.safetensors samples.txt; do
  cmp -s run/$file whole/$file || fail "stopped and resumed, the run leaves another $file"
done
expect 1 "there is no checkpoint to go on from" $long --run-folder run --resume
