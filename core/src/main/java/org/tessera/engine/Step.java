package org.tessera.engine;

import java.util.ArrayList;
import java.util.List;
import org.tessera.engine.StepInput.Splice;

/** One pass of the decoder over new positions of several sequences. */
final class Step {
  private final List<Chunk> chunks = new ArrayList<>();

  /** New positions {@code from} to {@code to} of a sequence. */
  record Chunk(Generation generation, Sequence sequence, int from, int to) {
    int rows() {
      return to - from;
    }

    /** Whether the next token can be chosen once this chunk is computed. */
    boolean isLast() {
      return to == sequence.tokens.length();
    }
  }

  void add(Chunk chunk) {
    chunks.add(chunk);
  }

  void removeAll(Generation generation) {
    chunks.removeIf(chunk -> chunk.generation() == generation);
  }

  /** The generation with the most rows in one chunk; of equals the one that came last. */
  Generation largest() {
    Chunk largest = chunks.getFirst();
    for (Chunk chunk : chunks) {
      largest = chunk.rows() >= largest.rows() ? chunk : largest;
    }
    return largest.generation();
  }

  List<Chunk> chunks() {
    return chunks;
  }

  boolean isEmpty() {
    return chunks.isEmpty();
  }

  /** Computes all chunks and leaves scores with the sequences whose last chunk this was. */
  void run(ModelRunner runner) {
    StepOutput output = runner.run(input());
    int nextLogits = 0;
    int nextGreedy = 0;
    for (Chunk chunk : chunks) {
      chunk.sequence().computed = chunk.to();
      if (chunk.isLast()) {
        chunk.sequence().scores =
            chunk.generation().decoding.isGreedy()
                ? new Scores.Likeliest(output.greedyIds()[nextGreedy++])
                : new Scores.Logits(output.logits()[nextLogits++]);
      }
    }
  }

  private StepInput input() {
    int rows = chunks.stream().mapToInt(Chunk::rows).sum();
    int[] tokenIds = new int[rows];
    int[] positions = new int[rows];
    int[] slots = new int[rows];
    int[] queryStarts = new int[chunks.size() + 1];
    int[] contextRows = new int[chunks.size()];
    int[][] blockTables = new int[chunks.size()][];
    List<Splice> splices = new ArrayList<>();
    List<Integer> logitRows = new ArrayList<>();
    List<Integer> greedyRows = new ArrayList<>();
    int row = 0;
    for (int i = 0; i < chunks.size(); i++) {
      Chunk chunk = chunks.get(i);
      Sequence sequence = chunk.sequence();
      splices.addAll(chunk.generation().features.splices(chunk.from(), chunk.to(), row));
      for (int position = chunk.from(); position < chunk.to(); position++) {
        tokenIds[row] = sequence.tokens.id(position);
        positions[row] = position;
        slots[row++] = sequence.lease.slot(position);
      }
      queryStarts[i + 1] = row;
      contextRows[i] = chunk.to();
      blockTables[i] = sequence.lease.blockTable();
      if (chunk.isLast()) {
        (chunk.generation().decoding.isGreedy() ? greedyRows : logitRows).add(row - 1);
      }
    }
    return new StepInput(
        tokenIds,
        positions,
        slots,
        queryStarts,
        contextRows,
        blockTables,
        splices,
        toArray(logitRows),
        toArray(greedyRows));
  }

  private static int[] toArray(List<Integer> rows) {
    return rows.stream().mapToInt(Integer::intValue).toArray();
  }
}
