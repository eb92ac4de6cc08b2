#!/bin/sh
# Runs what pack.sh packed, on a machine with NVIDIA's driver and CUDA's libraries that needs no Java.
#
#   tools/gpu/run.sh [--baseline FILE] [PART...]
#
#   doctor       what was found on the machine
#   test         the tests *GpuIT; their log has the seconds at which each began and ended
#   bench        the benchmark of MiniCPM-V 2.6's shape, whose random weights it writes and loads as a
#                checkpoint, so that loading is from the page cache
#   variants     a shorter benchmark for each way of computing that CudaTuning offers
#   collectives  what sums, gathers and copies between cards take
#   layouts      what is planned and measured for one card, layers cut over all, copies, and stages
#   crowd        clients that ask at once, of the library and of a server before it, on one card and on
#                copies over all; only where it is named
#   baseline     FILE, a Python program that measures Hugging Face Transformers
#   profile      what each kernel of a step takes, by Nsight Compute (ncu), one table a work: the steps
#                are timed first without the profiler, then one of each is run under it; below each
#                table stands what of a step's time no kernel takes. Needs ncu and python3
#
# Without a part all of them run, the variants only on one card, the collectives only where there are
# several, as are the layouts, the baseline only where its file is given, and crowd and profile only
# where they are named. A part that fails or takes too long does not keep the next from running; the table
# comes last, and the exit status is 1 where a part failed. All together they end within ten minutes.
#
#   PACK            the folder that pack.sh filled      (target/gpu)
#   OUT             where logs go                       (a new folder under /tmp)
#   DEVICE          which device bench measures         (cuda:0)
#   DEVICES         the cards that all parts see, as CUDA_VISIBLE_DEVICES has them: 0,1  (all)
#   BENCH           arguments of the benchmark          (those of docs/performance.md)
#   VARIANT_BATCH   answers decoded at a time in the benchmarks of the variants  (1,8,16,64)
#   VARIANTS        lists of properties after tessera.cuda., joined by commas  (all of CudaTuning)
#   CROWD           arguments of the crowd, what runs where left out  (64 and 256 clients)
#   PROFILE         works that are profiled             (decode:1 decode:16 decode:64 prefill:691
#                   prefill:8192 vision:10); --no-graphs before them for decoding without graphs
#   TESTS           a pattern of test class names       (.*GpuIT)
#   JAVA_OPTIONS    further options of java
#   DOCTOR_SECONDS, TEST_SECONDS, BENCH_SECONDS, VARIANTS_SECONDS, COLLECTIVES_SECONDS, LAYOUTS_SECONDS,
#   CROWD_SECONDS, BASELINE_SECONDS, PROFILE_SECONDS
#                   limits of the parts                 (30, 200, 110, 130, 100, 150, 150, 180, 120)
#   TOTAL_SECONDS   limit of all of them                (570)
set -u

began=$(date +%s)

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
    doctor | test | bench | variants | collectives | layouts | crowd | baseline | profile) parts="$parts $1" ;;
    *)
      echo "run: there is no part $1, only doctor, test, bench, variants, collectives, layouts, crowd, baseline and profile" >&2
      exit 2
      ;;
  esac
  shift
done
if [ -z "$parts" ]; then
  if [ "$cards" -gt 1 ]; then
    parts="doctor test bench collectives layouts"
  else
    parts="doctor test bench variants"
  fi
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

under= # the command that java is run by

# JAVA_OPTIONS is several words on purpose, and so is that command.
# shellcheck disable=SC2086
java() {
  # A process that takes too long first says what its threads are at.
  timeout -s QUIT -k 5 "$seconds" $under "$work/runtime/bin/java" --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED \
    -XX:+UseParallelGC -Dtessera.home="$root" ${JAVA_OPTIONS:-} "$@"
}

tessera() {
  java -cp "$work/lib/*" org.tessera.cli.Main "$@"
}

run_doctor() {
  tessera doctor
}

run_test() {
  {
    java -Dproject.root="$root" -cp "$work/lib/*:$work/test/*" \
      org.junit.platform.console.ConsoleLauncher execute --disable-banner --disable-ansi-colors \
      --details=testfeed --include-classname "${TESTS:-.*GpuIT}" --fail-if-no-tests \
      --scan-classpath "$(echo "$work"/test/tessera-cuda-*-tests.jar)"
    echo $? > "$work/status"
  } 2>&1 | python3 -uc '
import sys, time
began = time.monotonic()
for line in sys.stdin:
    stamp = f"{time.monotonic() - began:6.1f} s  " if " :: " in line else ""
    print(stamp + line, end="", flush=True)'
  return "$(cat "$work/status")"
}

# Gives one of several runs of a part the seconds until its end; where they are too few it is left out.
has_time() {
  seconds=$((end - $(date +%s)))
  if [ "$seconds" -lt 10 ]; then
    echo "$1: no time left"
    broken=1
    return 1
  fi
}

shape=minicpm-v-2.6
checkpoint=$work/checkpoint

# BENCH is several words on purpose.
# shellcheck disable=SC2086
run_bench() {
  tessera bench --device "$device" ${BENCH:---shape $shape --write $checkpoint --context 700 --batch 1,16,64 \
    --prefill 691,8192 --slices 10 --picture 1344 --warm-up 1.5 --repetitions 5 --tokens 48}
}

# VARIANTS is several words on purpose, and so is where the weights come from.
# shellcheck disable=SC2086
run_variants() {
  weights="--shape $shape"
  [ -f "$checkpoint/model.safetensors" ] && weights="--model $checkpoint"
  end=$(($(date +%s) + seconds))
  broken=0
  for variant in ${VARIANTS:-gemv=auto gemv=clusters gemv=single gemv.blocks=2 gemv.ahead=0 gemv.late=true gemv.late=true,gemv.ahead=8 gemv.rows=16 \
    matmul.candidates=1 matmul.candidates=16 attention.wgmma=true}; do
    has_time "$variant" || continue
    [ "$seconds" -lt 40 ] || seconds=40
    options=${JAVA_OPTIONS:-}
    for property in $(echo "$variant" | tr ',' ' '); do
      options="$options -Dtessera.cuda.$property"
    done
    echo "-- $variant"
    if (JAVA_OPTIONS=$options tessera bench --device "$device" $weights --context 700 --batch "${VARIANT_BATCH:-1,8,16,64}" --prefill 8192 \
      --slices 10 --warm-up 0.5 --repetitions 3 --tokens 32) > "$work/variant" 2>&1; then
      grep -E '^(decode|prefill|vision)' "$work/variant" | cut -c 1-45
    else
      echo "failed:"
      tail -n 5 "$work/variant" | cut -c 1-300
      broken=1
    fi
  done
  return "$broken"
}

run_collectives() {
  nvidia-smi topo -m
  java -cp "$work/lib/*:$work/test/*" org.tessera.cuda.CollectivesBenchmark
}

# The bytes of a card within which no card holds the model, and two do in stages.
stage_memory=10GiB

run_layouts() {
  weights="--shape $shape"
  [ -f "$checkpoint/model.safetensors" ] && weights="--model $checkpoint"
  limits=$(seq 0 $((cards - 1)) | sed "s/$/=$stage_memory/" | paste -s -d ',' -)
  end=$(($(date +%s) + seconds))
  broken=0
  for layout in "--device cuda:0" "--tensor-parallel $cards" "--replicas $cards" "--tensor-parallel 1 --max-memory $limits"; do
    has_time "$layout" || continue
    echo "-- $layout"
    case $layout in
      --device*) ;; # plan has no such option
      *)
        # shellcheck disable=SC2086
        tessera plan $weights $layout 2> /dev/null | grep '^\*'
        ;;
    esac
    # shellcheck disable=SC2086
    tessera bench $weights $layout --context 700 --batch 1,16,64 --prefill 691,8192 --slices 10 --picture 1344 \
      --warm-up 1 --repetitions 3 --tokens 48 2>&1 | tail -n 12 || broken=1
  done
  return "$broken"
}

# CROWD is several words on purpose, and so are where the weights come from and the layout.
# shellcheck disable=SC2086
run_crowd() {
  end=$(($(date +%s) + seconds))
  broken=0
  copies=
  [ "$cards" -gt 1 ] && copies="--replicas $cards"
  for layout in "--device $device" "$copies"; do
    [ -n "$layout" ] || continue
    weights="--shape $shape --write $checkpoint"
    [ -f "$checkpoint/model.safetensors" ] && weights="--model $checkpoint"
    has_time "$layout" || continue
    echo "-- $layout"
    tessera bench $weights $layout ${CROWD:---clients 64,256 --picture 1344 --tokens 128 --warm-up 1} \
      > "$work/crowd" 2>&1 || broken=1
    tail -n 12 "$work/crowd"
  done
  return "$broken"
}

run_baseline() {
  PYTHONUNBUFFERED=1 timeout -k 10 "$seconds" python3 "$baseline"
}

# PROFILE is several words on purpose.
# shellcheck disable=SC2086
profiled_works() {
  java -cp "$work/lib/*:$work/test/*" org.tessera.cuda.ProfileBenchmark \
    ${PROFILE:-decode:1 decode:16 decode:64 prefill:691 prefill:8192 vision:10}
}

run_profile() {
  for command in ncu python3; do
    if ! command -v "$command" > /dev/null 2>&1; then
      echo "$command is not on the PATH"
      return 1
    fi
  done
  end=$(($(date +%s) + seconds))
  if ! profiled_works > "$logs/profile-steps.log" 2>&1; then
    echo "without the profiler:"
    tail -n 15 "$logs/profile-steps.log"
    return 1
  fi
  seconds=$((end - $(date +%s)))
  if [ "$seconds" -lt 30 ]; then
    echo "no time left for the profiler"
    return 1
  fi
  # Neither clocks nor caches are touched: kernels find what they find without the profiler. The inner
  # limit ends the benchmark alone, so that ncu still writes what it has.
  (
    cd "$logs" || exit
    under="ncu --target-processes all --profile-from-start off --graph-profiling node \
      --clock-control none --cache-control none --metrics gpu__time_duration.sum \
      --csv --page raw --print-units base --log-file profile.csv timeout -k 5 $((seconds - 15))"
    profiled_works
  ) > "$logs/profile-ncu.log" 2>&1
  broken=$?
  if [ "$broken" -ne 0 ]; then
    echo "under the profiler ($broken), so that the last work may not be whole:"
    tail -n 10 "$logs/profile-ncu.log"
    grep '^==' "$logs/profile.csv" | grep -v '^==PROF== Profiling' | tail -n 5
  fi
  python3 "$root/tools/gpu/kernel_times.py" "$logs/profile-steps.log" "$logs/profile.csv" || broken=1
  return "$broken"
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
    doctor) tail -n 40 "$2" ;;
    *) echo "see the table" ;; # the log of a benchmark stands there
  esac
}

# run PART SECONDS
run() {
  log=$logs/$1.log
  seconds=$2
  left=$((began + ${TOTAL_SECONDS:-570} - $(date +%s)))
  [ "$seconds" -le "$left" ] || seconds=$left
  if [ "$seconds" -lt 5 ]; then
    printf '%-10s %-14s\n' "$1" "no time left" >> "$work/table"
    : > "$log"
    failed=1
    return
  fi
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
    doctor) run doctor "${DOCTOR_SECONDS:-30}" ;;
    test) run test "${TEST_SECONDS:-200}" ;;
    bench) run bench "${BENCH_SECONDS:-110}" ;;
    variants) run variants "${VARIANTS_SECONDS:-130}" ;;
    collectives) run collectives "${COLLECTIVES_SECONDS:-100}" ;;
    layouts) run layouts "${LAYOUTS_SECONDS:-150}" ;;
    crowd) run crowd "${CROWD_SECONDS:-150}" ;;
    baseline) run baseline "${BASELINE_SECONDS:-180}" ;;
    profile) run profile "${PROFILE_SECONDS:-120}" ;;
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
for part in variants bench collectives layouts crowd baseline profile; do
  lines=80
  [ "$part" != profile ] || lines=200
  case " $parts " in
    *" $part "*) tail -n "$lines" "$logs/$part.log" | sed "s/^/$part: /" ;;
  esac
done
echo "logs: $logs"
exit "$failed"
