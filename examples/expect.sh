# SPDX-License-Identifier: MIT
# What the smoke tests of programs with a command line share; sourced with $1 the program.
program=$1
fail() { echo "$1"; echo "--- stdout"; cat out; echo "--- stderr"; cat err; exit 1; }
# expect CODE MESSAGE ARGUMENTS...: the exit code, and a piece of what is said on stderr.
expect() {
  code=$1 message=$2; shift 2
  "$program" "$@" > out 2> err
  got=$?
  [ $got = "$code" ] || fail "$(basename "$program") $*: exit code $got, not $code"
  [ -z "$message" ] || grep -qF -e "$message" err || fail "$(basename "$program") $*: stderr does not say: $message"
}
