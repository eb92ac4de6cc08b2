"""Follows every address of attention_wgmma.cu through one tile of keys, without a GPU.

Shared memory is an array that starts as NaN. It is written where the kernel's copies write, and read where PTX's
description of wgmma has the hardware read: row and column of an operand by the descriptor's strides, then bits 4 to 6
of the address exclusive-or bits 7 to 9 (swizzle of 128 bytes). Scores, the fragments that lanes make of them, and the
product with the values must come out as by matrices.

Usage: python3 emulate_wgmma.py
"""

import numpy as np

ROWS, GROUP_ROWS, THREADS = 128, 64, 256
PANEL_ROW, GROUP_OF_ROWS = 128, 1024
random = np.random.default_rng(1)


def place(row, piece, panel_rows):
    """As Attention::place."""
    return piece // 8 * panel_rows * PANEL_ROW + row * PANEL_ROW + (piece % 8 ^ row % 8) * 16


def hardware(memory, address):
    return memory[(address ^ (address >> 7 & 7) << 4) // 2]


def k_major(memory, start, rows):
    return np.array([[hardware(memory, start + r // 8 * GROUP_OF_ROWS + r % 8 * PANEL_ROW + k * 2) for k in range(16)] for r in range(rows)])


def mn_major(memory, start, columns, leading):
    return np.array(
        [[hardware(memory, start + n // 64 * leading + k // 8 * GROUP_OF_ROWS + k % 8 * PANEL_ROW + n % 64 * 2) for n in range(columns)] for k in range(16)]
    )


def check(width, keys, rows, seen):
    """The second of two tiles, of whose keys `seen` are seen, for `rows` of a block's queries."""
    steps, panels, pieces = (width + 15) // 16, (width + 63) // 64, width // 8
    query_bytes, panel_bytes = panels * GROUP_ROWS * PANEL_ROW, keys * PANEL_ROW
    tile_bytes, tile, end = panels * panel_bytes, 1, keys + seen
    k_start, v_start = 2 * query_bytes, 2 * query_bytes + 2 * tile_bytes
    memory = np.full((v_start + 2 * tile_bytes) // 2, np.nan)
    q, k, v = (random.normal(size=(n, width)) for n in (ROWS, 2 * keys, 2 * keys))

    def put(address, values):
        assert address % 16 == 0
        memory[address // 2 : address // 2 + 8] = values

    if steps * 16 > width:
        for row in range(ROWS):
            put(row // GROUP_ROWS * query_bytes + place(row % GROUP_ROWS, pieces, GROUP_ROWS), 0)
        for row in range(2 * keys):
            put(k_start + row // keys * tile_bytes + place(row % keys, pieces, keys), 0)
    for row in range(ROWS):
        for piece in range(pieces):
            values = q[row, piece * 8 : piece * 8 + 8] if row < rows else 0
            put(row // GROUP_ROWS * query_bytes + place(row % GROUP_ROWS, piece, GROUP_ROWS), values)

    def load_column(apart, row, piece):
        target = tile % 2 * tile_bytes + place(row, piece, keys)
        for i in range(0, keys, apart):
            key, columns = tile * keys + row + i, slice(piece * 8, piece * 8 + 8)
            source = min(key, end - 1)
            put(k_start + target + i * PANEL_ROW, k[source, columns] if key < end else 0)
            put(v_start + target + i * PANEL_ROW, v[source, columns] if key < end else 0)

    lanes = pieces // 8 * 8
    for thread in range(THREADS):
        load_column(THREADS // lanes, thread // lanes, thread % lanes)
        for piece in range(lanes, pieces):
            if thread < keys:
                load_column(keys, thread, piece)

    for group in range(2):
        scores = np.zeros((GROUP_ROWS, keys))
        for s in range(steps):
            column = s % 4 * 32
            a = k_major(memory, group * query_bytes + s // 4 * GROUP_ROWS * PANEL_ROW + column, GROUP_ROWS)
            b = k_major(memory, k_start + tile % 2 * tile_bytes + s // 4 * panel_bytes + column, keys)
            scores += a @ b.T
        own = np.where(np.arange(GROUP_ROWS)[:, None] + group * GROUP_ROWS < rows, q[group * GROUP_ROWS :][:GROUP_ROWS], 0)
        assert np.allclose(scores[:, :seen], own @ k[keys:end].T)
        weights = np.exp(scores / 10)
        weights[:, seen:] = 0
        out = np.zeros((GROUP_ROWS, width))
        for s in range(keys // 16):
            fragments = np.full((GROUP_ROWS, 16), np.nan)
            for thread in range(128):
                warp, lane = thread // 32, thread % 32
                # Accumulator i: set of 8 columns i / 4, row lane / 4 or that + 8 by i / 2 % 2.
                held = [weights[warp * 16 + i // 2 % 2 * 8 + lane // 4, i // 4 * 8 + lane % 4 * 2 + i % 2] for i in range(keys // 2)]
                for i in range(4):
                    row, column = warp * 16 + lane // 4 + i % 2 * 8, lane % 4 * 2 + i // 2 * 8
                    fragments[row, column : column + 2] = held[s * 8 + 2 * i : s * 8 + 2 * i + 2]
            start = v_start + tile % 2 * tile_bytes + s * 16 * PANEL_ROW
            out += fragments @ mn_major(memory, start, width, panel_bytes)
        assert np.allclose(out, weights[:, :seen] @ v[keys:end])
    print(f"width {width}, tiles of {keys} keys, {rows} rows, {seen} keys of the tile: as by matrices")


for case in ((72, 64, 128, 64), (72, 64, 77, 33), (128, 128, 128, 128), (128, 128, 100, 5)):
    check(*case)
