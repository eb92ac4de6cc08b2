#!/usr/bin/env python3
"""Says where the time of each work of ProfileBenchmark goes, kernel by kernel.

    kernel_times.py STEPS PROFILE

STEPS is what the benchmark printed without a profiler, PROFILE what Nsight Compute wrote of a run of
the same works: the raw page as CSV, with its messages between. Before each work comes a kernel of
the benchmark, whose number of blocks is that of the work. Kernels of one name and grid share a line.
The profiler runs each kernel alone, so that nothing overlaps: their sum may exceed a step's time.
"""

import csv
import re
import statistics
import sys
from collections import defaultdict

MARKER = "profile_marker"
TIME = "gpu__time_duration.sum"
MICROS = {"ns": 1e-3, "us": 1, "ms": 1e3, "s": 1e6}
NAME_WIDTH = 60
LEAST_SHARE = 0.005  # kernels below it share the last line


class Unreadable(Exception):
    """A sentence for the user."""


def steps(lines):
    """Work number to its name and the microseconds of a step."""
    found = {}
    for line in lines:
        match = re.match(r"work (\d+) (\S+): ([\d.]+) ", line)
        if match:
            found[int(match[1])] = match[2], float(match[3])
    return found


def base_name(name):
    """Without type, arguments and template arguments; of a wrapper of CUTLASS what it wraps."""
    wrapped = re.match(r"(?:void )?cutlass::Kernel\d*<([\w:]+)", name)
    if wrapped:
        return wrapped[1][:NAME_WIDTH]
    base = re.sub(r"\(anonymous namespace\)::|<unnamed>::", "", name)
    shorter = re.sub(r"<[^<>]*>", "", base)
    while shorter != base:
        base, shorter = shorter, re.sub(r"<[^<>]*>", "", shorter)
    return (base.partition("(")[0].split() or [name])[-1][:NAME_WIDTH]


def numbers(grid):
    """Of blocks in x, y and z, or in all."""
    return re.findall(r"\d+", grid) if "(" in grid else [grid.replace(",", "")]


def micros_of(unit):
    """Microseconds of a unit of time: ns, nsecond."""
    factor = MICROS.get(unit.removesuffix("econd"))
    if factor is None:
        raise Unreadable(f"the unit of {TIME} is '{unit}', which is not known here")
    return factor


def rows(lines):
    """Name, grid and microseconds of each kernel, in the order in which they ran."""
    columns = factor = None
    for line in lines:
        cells = [] if line.startswith("==") else next(csv.reader([line]), [])
        if "Kernel Name" in cells and TIME in cells:
            columns, factor = {name: i for i, name in enumerate(cells)}, None
        elif columns is None or len(cells) != len(columns):
            continue  # not of the table
        elif factor is None:
            factor = micros_of(cells[columns[TIME]])  # the row below the header has the units
        else:
            time = cells[columns[TIME]].replace(",", "")
            grid = cells[columns["Grid Size" if "Grid Size" in columns else "launch__grid_size"]]
            try:
                yield cells[columns["Kernel Name"]], numbers(grid), float(time) * factor
            except ValueError as e:
                raise Unreadable(f"the time of kernel {cells[0]} is '{time}'") from e
    if columns is None:
        raise Unreadable(f"Nsight Compute wrote no table with a column {TIME}")


def by_work(kernels):
    """Work number to the times of its kernels by name and grid."""
    works = {}
    current = None
    for name, grid, micros in kernels:
        if base_name(name) == MARKER:
            current = works.setdefault(int(grid[0]), defaultdict(list))
        elif current is None:
            raise Unreadable(f"{base_name(name)} ran before the first work")
        else:
            current[base_name(name), " x ".join(grid)].append(micros)
    return works


HEADER = f"{'kernel':{NAME_WIDTH}} {'grid':16} count    total µs   median µs   share"


def row(name, grid, times, total):
    share = 100 * sum(times) / total
    return (
        f"{name:{NAME_WIDTH}} {grid:16} {len(times):5d} {sum(times):11.1f} "
        f"{statistics.median(times):11.2f} {share:5.1f} %"
    )


def print_table(kinds):
    """Returns the microseconds of all kernels."""
    total = sum(sum(times) for times in kinds.values())
    print(HEADER)
    small = []
    for (name, grid), times in sorted(kinds.items(), key=lambda kind: -sum(kind[1])):
        if sum(times) < LEAST_SHARE * total:
            small.append(times)
        else:
            print(row(name, grid, times, total))
    if small:
        print(row(f"{len(small)} more", "", sum(small, []), total))
    return total


def report(measured, works):
    """Returns whether all that was measured was profiled too."""
    complete = True
    for number, (name, step) in measured.items():
        kinds = works.get(number)
        print(f"-- {name}")
        if not kinds:
            print(f"no kernel was profiled; a step takes {step:.1f} µs")
            complete = False
            continue
        total = print_table(kinds)
        rest = step - total
        if rest >= 0:
            verdict = f"{rest:.1f} µs, {100 * rest / step:.1f} %, are gaps, copies and the host's"
        else:
            verdict = f"{-rest:.1f} µs less: kernels overlap there, or are slower alone"
        print(
            f"{sum(map(len, kinds.values()))} kernels take {total:.1f} µs, "
            f"a step without the profiler {step:.1f} µs: {verdict}"
        )
    return complete


def main():
    if len(sys.argv) != 3:
        sys.exit("kernel_times: name the files STEPS and PROFILE")
    try:
        with open(sys.argv[1], encoding="utf-8", errors="replace") as file:
            measured = steps(file)
        if not measured:
            raise Unreadable("the benchmark measured nothing")
        with open(sys.argv[2], encoding="utf-8", errors="replace", newline="") as file:
            works = by_work(rows(file))
    except (OSError, Unreadable) as e:
        sys.exit(f"kernel_times: {e}")
    sys.exit(0 if report(measured, works) else 1)


if __name__ == "__main__":
    main()
