package org.tessera.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.tessera.ops.Heads;
import org.tessera.tensor.Tensor;

/**
 * Attention block by block, never with a whole row of scores in memory. Lanes of a tile are
 * queries: rows and, where several heads share keys and values, heads. Scores of a block of keys
 * and their weighted values are tile products like those of linear layers.
 */
final class TiledAttention {
  /** Keys of a block; keys, values and scores of a block stay in the second-level cache. */
  private static final int BLOCK_KEYS = 8 * Kernels.TILE_ROWS;

  /** Tiles that share a block of keys once it is copied. */
  private static final int MAX_TILES = 4;

  /** Fewer keys are not worth being divided among threads. */
  private static final int MIN_SPLIT_KEYS = 4 * BLOCK_KEYS;

  private final Workers workers;
  private final Kernels kernels;
  private final Space[] spaces;

  /** What one thread computes in. */
  private final class Space {
    final Scratch keys = new Scratch();
    final Scratch values = new Scratch();
    final Scratch scores = new Scratch();
    final Scratch rows = new Scratch();
    final AttentionTile[] tiles = newTiles(MAX_TILES);
  }

  TiledAttention(Workers workers, Kernels kernels) {
    this.workers = workers;
    this.kernels = kernels;
    spaces = IntStream.range(0, workers.count()).mapToObj(i -> new Space()).toArray(Space[]::new);
  }

  private AttentionTile[] newTiles(int count) {
    return IntStream.range(0, count)
        .mapToObj(i -> new AttentionTile(kernels.lanes() * kernels.maxVectors()))
        .toArray(AttentionTile[]::new);
  }

  /**
   * Rows of queries and the keys that they see.
   *
   * @param positions for each row of {@code q} the last key that it sees, or null: all
   */
  record Sequence(int firstRow, int rows, int @Nullable [] positions, KeyRows keys) {}

  /** What all pieces of one call share. */
  private record Call(Tensor q, Tensor out, Heads heads, float scale, int lanes, int vectors) {
    int group() {
      return heads.queryHeads() / heads.keyValueHeads();
    }
  }

  /** Some tiles of the queries that share a key head, over a range of keys. */
  private record Piece(
      Sequence sequence, int keyHead, int firstItem, int items, int firstKey, int lastKey) {}

  void apply(List<Sequence> sequences, Tensor q, Heads heads, float scale, Tensor out) {
    if (q.rows() == 0) {
      return;
    }
    int group = heads.queryHeads() / heads.keyValueHeads();
    int mostItems = sequences.stream().mapToInt(s -> s.rows() * group).max().orElse(0);
    int vectors = mostItems <= kernels.lanes() ? 1 : kernels.maxVectors();
    Call call = new Call(q, out, heads, scale, vectors * kernels.lanes(), vectors);
    int tiles = MAX_TILES;
    List<Piece> whole = pieces(call, sequences, tiles);
    while (tiles > 1 && whole.size() < 4 * workers.count()) {
      tiles /= 2;
      whole = pieces(call, sequences, tiles);
    }
    long operations = whole.stream().mapToLong(piece -> operations(call, piece)).sum();
    int splits = whole.size() >= workers.count() ? 1 : 2 * workers.count() / whole.size();
    List<Piece> pieces = whole;
    if (splits == 1) {
      workers.run(
          pieces.size(),
          operations,
          (index, worker) -> {
            Piece piece = pieces.get(index);
            Space space = spaces[worker];
            compute(call, piece, space, space.tiles);
            write(call, piece, space, space.tiles);
          });
    } else {
      applySplit(call, whole, splits, operations);
    }
  }

  private List<Piece> pieces(Call call, List<Sequence> sequences, int tiles) {
    List<Piece> pieces = new ArrayList<>();
    for (Sequence sequence : sequences) {
      int items = sequence.rows() * call.group();
      for (int keyHead = 0; keyHead < call.heads.keyValueHeads(); keyHead++) {
        for (int item = 0; item < items; item += tiles * call.lanes) {
          int count = Math.min(tiles * call.lanes, items - item);
          int seen = sequence.keys.count();
          if (sequence.positions != null) {
            seen = 0;
            for (int i = item / call.group(); i <= (item + count - 1) / call.group(); i++) {
              seen = Math.max(seen, sequence.positions[sequence.firstRow + i] + 1);
            }
          }
          pieces.add(new Piece(sequence, keyHead, item, count, 0, seen));
        }
      }
    }
    return pieces;
  }

  private static long operations(Call call, Piece piece) {
    return 4L * Math.max(piece.items, call.lanes) * piece.lastKey * call.heads.width();
  }

  /** Few queries over many keys: threads share the keys of one piece. */
  private void applySplit(Call call, List<Piece> whole, int most, long operations) {
    List<Piece> parts = new ArrayList<>();
    int[] firstPart = new int[whole.size() + 1];
    for (int i = 0; i < whole.size(); i++) {
      Piece piece = whole.get(i);
      int splits = Math.clamp(piece.lastKey / MIN_SPLIT_KEYS, 1, most);
      for (int split = 0; split < splits; split++) {
        int from = (int) ((long) piece.lastKey * split / splits);
        int to = (int) ((long) piece.lastKey * (split + 1) / splits);
        parts.add(new Piece(piece.sequence, piece.keyHead, piece.firstItem, piece.items, from, to));
      }
      firstPart[i + 1] = parts.size();
    }
    AttentionTile[][] tiles = new AttentionTile[parts.size()][];
    workers.run(
        parts.size(),
        operations,
        (index, worker) -> {
          Piece part = parts.get(index);
          tiles[index] = newTiles(Math.ceilDiv(part.items, call.lanes));
          compute(call, part, spaces[worker], tiles[index]);
        });
    for (int i = 0; i < whole.size(); i++) {
      AttentionTile[] first = tiles[firstPart[i]];
      for (int part = firstPart[i] + 1; part < firstPart[i + 1]; part++) {
        for (int t = 0; t < first.length; t++) {
          first[t].merge(tiles[part][t], call.heads.width(), call.lanes);
        }
      }
      write(call, whole.get(i), spaces[0], first);
    }
  }

  private void compute(Call call, Piece piece, Space space, AttentionTile[] tiles) {
    int width = call.heads.width();
    int column = piece.keyHead * width;
    int tileCount = Math.ceilDiv(piece.items, call.lanes);
    for (int t = 0; t < tileCount; t++) {
      load(call, piece, t, space, tiles[t]);
    }
    // Tiles have twelve rows: the last may reach beyond the last key, or the last column.
    int spare = Kernels.TILE_ROWS * width;
    float[] keys = space.keys.atLeast(BLOCK_KEYS * width + spare);
    float[] values = space.values.atLeast(BLOCK_KEYS * width + spare);
    float[] scores = space.scores.atLeast(BLOCK_KEYS * call.lanes);
    for (int key = piece.firstKey; key < piece.lastKey; key += BLOCK_KEYS) {
      int count = Math.min(BLOCK_KEYS, piece.lastKey - key);
      piece.sequence.keys.copyKeys(kernels, key, count, column, width, keys);
      piece.sequence.keys.copyValues(kernels, key, count, column, width, values);
      for (int t = 0; t < tileCount; t++) {
        if (!tiles[t].endsBefore(key)) {
          step(call, keys, values, scores, key, count, tiles[t]);
        }
      }
    }
  }

  private void step(
      Call call,
      float[] keys,
      float[] values,
      float[] scores,
      int firstKey,
      int count,
      AttentionTile tile) {
    int width = call.heads.width();
    int lanes = call.lanes;
    Arrays.fill(scores, 0, BLOCK_KEYS * lanes, 0f);
    for (int row = 0; row < count; row += Kernels.TILE_ROWS) {
      kernels.multiplyRows(
          keys, row * width, width, tile.queries, 0, width, call.vectors, scores, row * lanes);
    }
    kernels.softmaxBlock(
        scores,
        count,
        call.vectors,
        tile.limits(firstKey, count),
        tile.max,
        tile.sum,
        tile.weighted,
        width);
    for (int row = 0; row < width; row += Kernels.TILE_ROWS) {
      kernels.multiplyColumns(
          values, row, width, scores, 0, count, call.vectors, tile.weighted, row * lanes);
    }
  }

  /** Brings the queries of a tile, scaled, into its lanes. */
  private void load(Call call, Piece piece, int index, Space space, AttentionTile tile) {
    int width = call.heads.width();
    int lanes = call.lanes;
    int group = call.group();
    tile.reset(width, lanes);
    float[] rows = space.rows.atLeast(lanes * width);
    int first = piece.firstItem + index * lanes;
    tile.used = Math.min(lanes, piece.firstItem + piece.items - first);
    for (int lane = 0; lane < tile.used; lane++) {
      int row = piece.sequence.firstRow + (first + lane) / group;
      int head = piece.keyHead * group + (first + lane) % group;
      kernels.widen(call.q, row, 1, head * width, width, rows, lane * width, width);
      if (piece.sequence.positions != null) {
        tile.see(lane, piece.sequence.positions[row] + 1);
      }
    }
    for (int i = 0; i < tile.used * width; i++) {
      rows[i] *= call.scale;
    }
    kernels.transpose(rows, 0, width, tile.used, width, tile.queries, 0, lanes);
  }

  private void write(Call call, Piece piece, Space space, AttentionTile[] tiles) {
    int width = call.heads.width();
    int lanes = call.lanes;
    int group = call.group();
    float[] rows = space.rows.atLeast(lanes * width);
    int tileCount = Math.ceilDiv(piece.items, lanes);
    for (int t = 0; t < tileCount; t++) {
      AttentionTile tile = tiles[t];
      kernels.transpose(tile.weighted, 0, lanes, width, tile.used, rows, 0, width);
      int first = piece.firstItem + t * lanes;
      for (int lane = 0; lane < tile.used; lane++) {
        // No key at all leaves zeros, not zero by zero.
        float factor = tile.sum[lane] == 0 ? 0 : 1 / tile.sum[lane];
        for (int i = lane * width; i < (lane + 1) * width; i++) {
          rows[i] *= factor;
        }
        int row = piece.sequence.firstRow + (first + lane) / group;
        int head = piece.keyHead * group + (first + lane) % group;
        long outAt = Elements.offset(call.out, row, (long) head * width);
        MemorySegment.copy(
            rows, lane * width, call.out.memory(), JAVA_FLOAT_UNALIGNED, outAt, width);
      }
    }
  }
}
