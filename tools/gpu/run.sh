#!/bin/sh
# Runs what pack.sh packed, on a machine with NVIDIA's driver and CUDA's libraries that needs no Java.
#
#   tools/gpu/run.sh [--baseline FILE] [PART...]
#
#   doctor       what was found on the machine
#   test         the tests *GpuIT
#   bench        the benchmark of MiniCPM-V 2.6's shape
#   collectives  what sums, gathers and copies between cards take
#   baseline     FILE, a Python program that measures Hugging Face Transformers
#
# Without a part all of them run, the collectives only where there are several cards and the baseline
# only where its file is given. A part that fails or takes too long does not keep the next from running;
# the table comes last, and the exit status is 1 where a part failed.
#
#   PACK            the folder that pack.sh filled      (target/gpu)
#   OUT             where logs go                       (a new folder under /tmp)
#   DEVICE          which device bench measures         (cuda:0)
#   DEVICES         the cards that all parts see, as CUDA_VISIBLE_DEVICES has them: 0,1  (all)
#   BENCH           further arguments of the benchmark  (--shape minicpm-v-2.6)
#   TESTS           a pattern of test class names       (.*GpuIT)
#   JAVA_OPTIONS    further options of java
#   DOCTOR_SECONDS, TEST_SECONDS, BENCH_SECONDS, COLLECTIVES_SECONDS, BASELINE_SECONDS
#                   limits (60, 240 or 420 on several cards, 200, 120, 200)
set -u

root=$(CDPATH= cd -- "$(dirname "$0")/../.." && pwd -P) || exit 1
pack=${PACK:-$root/target/gpu}
device=${DEVICE:-cuda:0}
logs=${OUT:-$(mktemp -d /tmp/tessera-gpu-logs.XXXXXX)}
baseline=
parts=
if [ -n "${DEVICES:-}" ]; then
  CUDA_VISIBLE_DEVICES=$DEVICES
  export CUDA_VISIBLE_DEVICES
fi
if [ -n "${CUDA_VISIBLE_DEVICES:-}" ]; then
  cards=$(printf '%s' "$CUDA_VISIBLE_DEVICES" | tr ',' '\n' | grep -c .)
else
  cards=$(nvidia-smi -L 2> /dev/null | grep -c '^GPU')
fi
while [ $# -gt 0 ]; do
  case $1 in
    --baseline)
      [ $# -gt 1 ] || { echo "run: --baseline needs a file" >&2; exit 2; }
      baseline=$2
      shift
      ;;
    doctor | test | bench | collectives | baseline) parts="$parts $1" ;;
    *) echo "run: there is no part $1, only doctor, test, bench, collectives and baseline" >&2; exit 2 ;;
  esac
  shift
done
if [ -z "$parts" ]; then
  parts="doctor test bench"
  [ "$cards" -lt 2 ] || parts="$parts collectives"
  parts="$parts${baseline:+ baseline}"
fi
case "$parts " in
  *" baseline "*) [ -n "$baseline" ] || { echo "run: the baseline needs --baseline FILE" >&2; exit 2; } ;;
esac

LC_ALL=C.UTF-8
export LC_ALL
mkdir -p "$logs"
work=$(mktemp -d /tmp/tessera-gpu.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
for archive in runtime jars; do
  if ! tar -C "$work" -xJf "$pack/$archive.tar.xz"; then
    echo "run: $pack/$archive.tar.xz cannot be unpacked; tools/gpu/pack.sh makes it" >&2
    exit 1
  fi
done
: > "$work/table"

# JAVA_OPTIONS is several words on purpose.
# shellcheck disable=SC2086
java() {
  timeout -k 10 "$seconds" "$work/runtime/bin/java" --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED \
    -XX:+UseParallelGC -Dtessera.home="$root" ${JAVA_OPTIONS:-} "$@"
}

tessera() {
  java -cp "$work/lib/*" org.tessera.cli.Main "$@"
}

run_doctor() {
  tessera doctor
}

run_test() {
  java -Dproject.root="$root" -cp "$work/lib/*:$work/test/*" \
    org.junit.platform.console.ConsoleLauncher execute --disable-banner --disable-ansi-colors \
    --details=testfeed --include-classname "${TESTS:-.*GpuIT}" --fail-if-no-tests \
    --scan-classpath "$(echo "$work"/test/tessera-cuda-*-tests.jar)"
}

# BENCH is several words on purpose.
# shellcheck disable=SC2086
run_bench() {
  tessera bench --device "$device" ${BENCH:---shape minicpm-v-2.6}
}

run_collectives() {
  nvidia-smi topo -m
  java -cp "$work/lib/*:$work/test/*" org.tessera.cuda.CollectivesBenchmark
}

run_baseline() {
  PYTHONUNBUFFERED=1 timeout -k 10 "$seconds" python3 "$baseline"
}

# What a part's log says in a few lines.
excerpt() {
  case $1 in
    test)
      # A failed or skipped test is followed by its exception, of which the first line tells what is wrong.
      awk '
        / :: (FAILED|ABORTED|SKIPPED)$/ { print; told = 1; next }
        told { print; told = 0; next }
        /\[ *[0-9]+ tests (found|skipped|aborted|successful|failed)/ { counts = counts $0 "\n" }
        /^Test run finished/ { print }
        END { printf "%s", counts }' "$2" | cut -c 1-300 > "$work/excerpt"
      lines=$(wc -l < "$work/excerpt")
      if [ "$lines" -gt 60 ]; then
        head -n 53 "$work/excerpt"
        echo "... $((lines - 59)) more lines in test.log"
        tail -n 6 "$work/excerpt"
      else
        cat "$work/excerpt"
      fi
      ;;
    collectives) tail -n 70 "$2" ;;
    *) tail -n 40 "$2" ;;
  esac
}

# run PART SECONDS
run() {
  log=$logs/$1.log
  seconds=$2
  printf '\n== %s\n' "$1"
  started=$(date +%s)
  "run_$1" > "$log" 2>&1
  status=$?
  took=$(($(date +%s) - started))
  excerpt "$1" "$log"
  case $status in
    0) outcome=ok ;;
    124 | 137) outcome="over $seconds s" ;;
    *) outcome="failed ($status)" ;;
  esac
  [ "$status" -eq 0 ] || failed=1
  note=
  if [ "$1" = test ]; then
    # 2 containers aborted, 12 tests successful, 1 tests failed; a container is a class of tests.
    note=$(sed -n 's/^\[ *\([0-9]* [a-z]* [a-z]*\) *\]$/\1/p' "$log" \
      | grep -Ev '^0 |found|started|containers successful' | paste -s -d ',' -)
    case "$status $note" in
      "0 "*"tests successful"*) ;;
      "0 "*) outcome="nothing ran" failed=1 ;;
    esac
  fi
  printf '%-12s %-14s %5d s  %s\n' "$1" "$outcome" "$took" "$note" >> "$work/table"
}

failed=0
for part in $parts; do
  case $part in
    doctor) run doctor "${DOCTOR_SECONDS:-60}" ;;
    test) if [ "$cards" -gt 1 ]; then run test "${TEST_SECONDS:-420}"; else run test "${TEST_SECONDS:-240}"; fi ;;
    bench) run bench "${BENCH_SECONDS:-200}" ;;
    collectives) run collectives "${COLLECTIVES_SECONDS:-120}" ;;
    baseline) run baseline "${BASELINE_SECONDS:-200}" ;;
  esac
done

printf '\n== table\n'
if command -v nvidia-smi > /dev/null 2>&1; then
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
else
  echo "no nvidia-smi on this machine"
fi
date -u +%Y-%m-%d
cat "$work/table"
for part in bench collectives baseline; do
  case " $parts " in
    *" $part "*) tail -n "$([ "$part" = collectives ] && echo 50 || echo 20)" "$logs/$part.log" | sed "s/^/$part: /" ;;
  esac
done
echo "logs: $logs"
exit "$failed"
