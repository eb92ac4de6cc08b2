#!/bin/sh
# Packs what a Linux machine with NVIDIA's driver and CUDA's libraries, but without Java and without a
# network, needs to run Tessera and its GPU tests; run.sh beside this script unpacks and runs it there.
#
#   tools/gpu/pack.sh [FOLDER]    default: target/gpu, which git ignores
#
#   FOLDER/runtime.tar.xz   a Java runtime with the modules that are used; made once
#   FOLDER/jars.tar.xz      the command with all modules, the tests and what they need
#
# JAVA_HOME must be a JDK 25 or newer with jlink.
set -eu

root=$(CDPATH= cd -- "$(dirname "$0")/../.." && pwd -P)
folder=${1:-$root/target/gpu}
mkdir -p "$folder"
folder=$(CDPATH= cd -- "$folder" && pwd -P)

: "${JAVA_HOME:?set it to a JDK 25 or newer}"
export JAVA_HOME

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$root"

version_of() {
  sed -n "s:.*<$1.version>\(.*\)</$1.version>.*:\1:p" pom.xml
}

maven() {
  MAVEN_OPTS="--sun-misc-unsafe-memory-access=allow ${MAVEN_OPTS:-}" ./mvnw -B -q -ntp "$@"
}

echo "pack: building"
maven -DskipTests -Dspotless.check.skip=true package
mkdir "$work/lib" "$work/test"
cp cli/target/lib/*.jar "$work/lib"
cp core/target/tessera-core-*-tests.jar cuda/target/tessera-cuda-*-tests.jar "$work/test"
# AssertJ's own need, Byte Buddy, is for soft assertions, which no GPU test makes; it would be the largest jar.
for artifact in \
  "org.junit.platform:junit-platform-console-standalone:$(version_of junit)" \
  "org.assertj:assertj-core:$(version_of assertj)"; do
  maven -N dependency:copy -Dartifact="$artifact" -DoutputDirectory="$work/test"
done

echo "pack: finding the modules that are used"
needed=$("$JAVA_HOME/bin/jdeps" --ignore-missing-deps --multi-release 25 --print-module-deps \
  --class-path "$work/lib/*:$work/test/*" \
  "$work"/lib/tessera-*.jar "$work"/test/tessera-cuda-*.jar "$work"/test/junit-*.jar)
# JUnit scans jars through the file system of zip files, which is found as a service.
modules="$needed,jdk.zipfs"

runtime="$("$JAVA_HOME/bin/java" --version | sed -n 2p) $modules"
if [ -f "$folder/runtime.tar.xz" ] && [ "$(cat "$folder/runtime.txt" 2>/dev/null)" = "$runtime" ]; then
  echo "pack: the runtime is there already"
else
  echo "pack: linking a runtime of $modules"
  rm -f "$folder/runtime.txt"
  # What is not compressed here is compressed better by xz.
  "$JAVA_HOME/bin/jlink" --compress=zip-0 --strip-debug --no-header-files --no-man-pages \
    --add-modules "$modules" --output "$work/runtime"
  tar -C "$work" -c runtime | xz -T 0 --x86 --lzma2=preset=9e > "$folder/runtime.tar.xz"
  printf '%s\n' "$runtime" > "$folder/runtime.txt"
fi

echo "pack: packing the jars"
for jar in "$work"/lib/*.jar "$work"/test/*.jar; do
  mkdir "$work/content"
  (cd "$work/content" && "$JAVA_HOME/bin/jar" --extract --file "$jar")
  rm "$jar"
  # The manifest is among the extracted files.
  "$JAVA_HOME/bin/jar" --create --no-compress --no-manifest --file "$jar" -C "$work/content" .
  rm -rf "$work/content"
done
XZ_OPT=-6 tar -C "$work" -cJf "$folder/jars.tar.xz" lib test

bytes=$(cat "$folder/runtime.tar.xz" "$folder/jars.tar.xz" | wc -c)
printf 'pack: %s in %s\n' "$(printf '%s' "$bytes" | awk '{ printf "%.1f MB", $1 / 1e6 }')" "$folder"
