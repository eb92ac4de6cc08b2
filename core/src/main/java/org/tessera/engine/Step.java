package org.tessera.engine;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tessera.engine.Decoding.Demand;
import org.tessera.engine.StepInput.SampledRow;
import org.tessera.engine.StepInput.Splice;
import org.tessera.ops.SamplingParameters;

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
    Map<Chunk, Demand> demands = new LinkedHashMap<>();
    for (Chunk chunk : chunks) {
      if (chunk.isLast()) {
        demands.put(chunk, chunk.generation().decoding.demand());
      }
    }
    StepOutput output = runner.run(input(demands));
    chunks.forEach(chunk -> chunk.sequence().computed = chunk.to());
    int nextLogits = 0;
    int nextGreedy = 0;
    int nextSampled = 0;
    for (Map.Entry<Chunk, Demand> entry : demands.entrySet()) {
      entry.getKey().sequence().scores =
          switch (entry.getValue()) {
            case Demand.Logits() -> new Scores.Logits(output.logits()[nextLogits++]);
            case Demand.Likeliest() -> new Scores.Chosen(output.greedyIds()[nextGreedy++]);
            case Demand.Sampled sampled -> new Scores.Chosen(output.sampledIds()[nextSampled++]);
          };
    }
  }

  private StepInput input(Map<Chunk, Demand> demands) {
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
    List<SampledRow> sampledRows = new ArrayList<>();
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
      switch (demands.get(chunk)) {
        case null -> {}
        case Demand.Logits() -> logitRows.add(row - 1);
        case Demand.Likeliest() -> greedyRows.add(row - 1);
        case Demand.Sampled(SamplingParameters parameters, int[] recount) ->
            sampledRows.add(new SampledRow(row - 1, parameters, recount));
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
        toArray(greedyRows),
        sampledRows);
  }

  private static int[] toArray(List<Integer> rows) {
    return rows.stream().mapToInt(Integer::intValue).toArray();
  }
}
