package org.tessera.cpu;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;

/**
 * Linear layers. With few rows of activations memory decides: every thread streams blocks of whole
 * weight rows. With many, arithmetic does: activations are laid out in tiles once, blocks of
 * weights are widened to floats once, and both are used from the caches.
 */
final class Linear {
  /** Rows of activations up to which weights are streamed. */
  private static final int FEW_TOKENS = 8;

  /** Weights that a thread streams at a time: the longer, the better memory is read ahead. */
  private static final int MAX_STREAMED_BYTES = 256 << 10;

  /** Less does not pay for fetching the next piece. */
  private static final int MIN_STREAMED_BYTES = 32 << 10;

  /** So that threads end together. */
  private static final int MIN_PIECES_A_WORKER = 4;

  private static final int MAX_PIECES_A_WORKER = 64;

  /** Rows of weights in a block: a few tiles. */
  private static final int BLOCK_ROWS = 4 * Kernels.TILE_ROWS;

  /** Columns of a block: what lanes of a tile need of them stays in the first-level cache. */
  private static final int BLOCK_COLUMNS = 256;

  /** Widened rows are spaced so that they do not compete for the same cache sets. */
  private static final int BLOCK_STRIDE = BLOCK_COLUMNS + 16;

  private static final int MAX_CHUNK_TOKENS = 512;
  private static final int MAX_CHUNK_FLOATS = 4 << 20;

  private final Workers workers;
  private final Kernels kernels;
  private final Scratch activations = new Scratch();
  private final Scratch[] weights;
  private final Scratch[] sums;
  private final Scratch[] lines;

  Linear(Workers workers, Kernels kernels) {
    this.workers = workers;
    this.kernels = kernels;
    weights = scratches();
    sums = scratches();
    lines = scratches();
  }

  private Scratch[] scratches() {
    return IntStream.range(0, workers.count()).mapToObj(i -> new Scratch()).toArray(Scratch[]::new);
  }

  void apply(Tensor x, Matrix w, @Nullable Tensor bias, LinearEnd end, Tensor out) {
    MemorySegment biasMemory = bias == null ? null : bias.memory();
    if (x.rows() == 0) {
      return;
    }
    if (x.rows() <= FEW_TOKENS) {
      few(x, w, biasMemory, end, out);
    } else {
      many(x, w, biasMemory, end, out);
    }
  }

  /** Rows {@code from} to {@code to} of one part, which are output columns from {@code column}. */
  private record Block(Tensor part, int from, int to, int column) {
    static int count(Matrix w, int blockRows) {
      int count = 0;
      for (Tensor part : w.parts()) {
        count += Math.ceilDiv(part.rows(), blockRows);
      }
      return count;
    }

    static Block of(Matrix w, int blockRows, int index) {
      int rest = index;
      int column = 0;
      for (Tensor part : w.parts()) {
        int blocks = Math.ceilDiv(part.rows(), blockRows);
        if (rest < blocks) {
          int from = rest * blockRows;
          return new Block(part, from, Math.min(from + blockRows, part.rows()), column + from);
        }
        rest -= blocks;
        column += part.rows();
      }
      throw new IndexOutOfBoundsException(index);
    }

    int rows() {
      return to - from;
    }
  }

  private void few(Tensor x, Matrix w, @Nullable MemorySegment bias, LinearEnd end, Tensor out) {
    int tokens = x.rows();
    int columns = w.columns();
    int stride = Kernels.padded(columns, kernels.lanes());
    float[] xs = activations.atLeast(tokens * stride);
    kernels.widen(x, 0, tokens, 0, columns, xs, 0, stride);
    for (int t = 0; t < tokens; t++) {
      Arrays.fill(xs, t * stride + columns, (t + 1) * stride, 0f);
    }
    long share = w.byteSize() / (MIN_PIECES_A_WORKER * workers.count());
    int streamed = Math.clamp(share, MIN_STREAMED_BYTES, MAX_STREAMED_BYTES);
    int pieceRows =
        Math.max(
            streamed / Math.max(1, 2 * columns),
            Math.ceilDiv(w.rows(), MAX_PIECES_A_WORKER * workers.count()));
    int blockRows = Kernels.padded(Math.max(1, pieceRows), Kernels.DOT_ROWS);
    workers.run(
        Block.count(w, blockRows),
        2L * tokens * w.rows() * columns,
        (piece, worker) -> {
          Block block = Block.of(w, blockRows, piece);
          float[] products = sums[worker].atLeast(tokens * blockRows);
          float[] spare = weights[worker].atLeast(Kernels.DOT_SPARE);
          for (int row = block.from; row < block.to; row += Kernels.DOT_ROWS) {
            int rows = Math.min(Kernels.DOT_ROWS, block.to - row);
            kernels.dots(
                block.part,
                row,
                rows,
                xs,
                stride,
                tokens,
                products,
                row - block.from,
                blockRows,
                spare);
          }
          for (int t = 0; t < tokens; t++) {
            finish(products, t * blockRows, block, bias, end, out, t);
          }
        });
  }

  private void finish(
      float[] products,
      int at,
      Block block,
      @Nullable MemorySegment bias,
      LinearEnd end,
      Tensor out,
      int token) {
    long outAt = Elements.offset(out, token, block.column);
    kernels.finish(products, at, block.rows(), bias, 4L * block.column, end, out.memory(), outAt);
  }

  private void many(Tensor x, Matrix w, @Nullable MemorySegment bias, LinearEnd end, Tensor out) {
    int columns = w.columns();
    int vectors = x.rows() <= kernels.lanes() ? 1 : kernels.maxVectors();
    int lanes = vectors * kernels.lanes();
    int chunk =
        Math.clamp(MAX_CHUNK_FLOATS / Math.max(1, columns), lanes, MAX_CHUNK_TOKENS)
            / lanes
            * lanes;
    for (int from = 0; from < x.rows(); from += chunk) {
      int to = Math.min(from + chunk, x.rows());
      multiply(x.rows(from, to), w, bias, end, out.rows(from, to), vectors);
    }
  }

  private void multiply(
      Tensor x, Matrix w, @Nullable MemorySegment bias, LinearEnd end, Tensor out, int vectors) {
    int columns = w.columns();
    int lanes = vectors * kernels.lanes();
    int panels = Math.ceilDiv(x.rows(), lanes);
    float[] packed = activations.atLeast(panels * lanes * columns);
    pack(x, lanes, packed);
    int blocks = Block.count(w, BLOCK_ROWS);
    int groups = Math.clamp(Math.ceilDiv(4 * workers.count(), Math.max(1, blocks)), 1, panels);
    int groupPanels = Math.ceilDiv(panels, groups);
    workers.run(
        blocks * groups,
        2L * x.rows() * w.rows() * columns,
        (piece, worker) -> {
          Block block = Block.of(w, BLOCK_ROWS, piece % blocks);
          int first = piece / blocks * groupPanels;
          int last = Math.min(first + groupPanels, panels);
          if (first < last) {
            float[] products = multiply(block, packed, first, last, vectors, worker);
            int tokenFrom = first * lanes;
            int tokenTo = Math.min(last * lanes, x.rows());
            for (int token = tokenFrom; token < tokenTo; token += lanes) {
              int count = Math.min(lanes, tokenTo - token);
              int at = (token - tokenFrom) * BLOCK_ROWS;
              float[] line = lines[worker].atLeast(lanes * BLOCK_ROWS);
              kernels.transpose(products, at, lanes, block.rows(), count, line, 0, BLOCK_ROWS);
              for (int t = 0; t < count; t++) {
                finish(line, t * BLOCK_ROWS, block, bias, end, out, token + t);
              }
            }
          }
        });
  }

  /** The products of a block with some panels, {@code [panels][BLOCK_ROWS][lanes]}. */
  private float[] multiply(
      Block block, float[] packed, int firstPanel, int lastPanel, int vectors, int worker) {
    int lanes = vectors * kernels.lanes();
    int columns = block.part.columns();
    float[] wide = weights[worker].atLeast(BLOCK_ROWS * BLOCK_STRIDE);
    int length = (lastPanel - firstPanel) * BLOCK_ROWS * lanes;
    float[] products = sums[worker].atLeast(length);
    Arrays.fill(products, 0, length, 0f);
    for (int column = 0; column < columns; column += BLOCK_COLUMNS) {
      int depth = Math.min(BLOCK_COLUMNS, columns - column);
      kernels.widen(block.part, block.from, block.rows(), column, depth, wide, 0, BLOCK_STRIDE);
      for (int panel = firstPanel; panel < lastPanel; panel++) {
        int packedAt = (panel * columns + column) * lanes;
        int productsAt = (panel - firstPanel) * BLOCK_ROWS * lanes;
        for (int row = 0; row < block.rows(); row += Kernels.TILE_ROWS) {
          kernels.multiplyRows(
              wide,
              row * BLOCK_STRIDE,
              BLOCK_STRIDE,
              packed,
              packedAt,
              depth,
              vectors,
              products,
              productsAt + row * lanes);
        }
      }
    }
    return products;
  }

  /** Lays tokens side by side: {@code [panels][columns][lanes]}, zero beyond the last token. */
  private void pack(Tensor x, int lanes, float[] packed) {
    int columns = x.columns();
    int panels = Math.ceilDiv(x.rows(), lanes);
    int blocks = Math.ceilDiv(columns, BLOCK_COLUMNS);
    workers.run(
        panels * blocks,
        2L * x.rows() * columns,
        (piece, worker) -> {
          int panel = piece / blocks;
          int column = piece % blocks * BLOCK_COLUMNS;
          int depth = Math.min(BLOCK_COLUMNS, columns - column);
          int token = panel * lanes;
          int count = Math.min(lanes, x.rows() - token);
          float[] line = lines[worker].atLeast(lanes * BLOCK_STRIDE);
          kernels.widen(x, token, count, column, depth, line, 0, BLOCK_STRIDE);
          for (int t = count; t < lanes; t++) {
            Arrays.fill(line, t * BLOCK_STRIDE, t * BLOCK_STRIDE + depth, 0f);
          }
          int at = (panel * columns + column) * lanes;
          kernels.transpose(line, 0, BLOCK_STRIDE, lanes, depth, packed, at, lanes);
        });
  }
}
