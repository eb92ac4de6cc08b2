package org.tessera.engine;

import java.util.ArrayList;
import java.util.List;
import org.tessera.device.Device;
import org.tessera.device.Workspace;
import org.tessera.kv.KvCache;
import org.tessera.model.VisionLanguageModel;
import org.tessera.ops.PagedBatch;
import org.tessera.ops.Segments;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/** One pass of the decoder over new positions of several sequences. */
final class Step {
  private final List<Chunk> chunks = new ArrayList<>();
  private int rows;

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
    rows += chunk.rows();
  }

  void removeAll(Generation generation) {
    chunks.removeIf(chunk -> chunk.generation() == generation);
    rows = chunks.stream().mapToInt(Chunk::rows).sum();
  }

  List<Chunk> chunks() {
    return chunks;
  }

  boolean isEmpty() {
    return chunks.isEmpty();
  }

  /** Computes all chunks and leaves logits with the sequences whose last chunk this was. */
  void run(VisionLanguageModel model, Device device, KvCache cache, Workspace workspace) {
    try (var scope = workspace.open()) {
      Tensor hidden = workspace.allocate(rows, model.spec().hiddenSize());
      model.embed(workspace.upload(tokenIds()), hidden);
      int row = 0;
      for (Chunk chunk : chunks) {
        Tensor chunkRows = hidden.rows(row, row + chunk.rows());
        chunk
            .generation()
            .features
            .splice(chunk.from(), chunk.to(), chunkRows, device.ops(), workspace);
        row += chunk.rows();
      }
      model.forward(hidden, batch(workspace), cache, workspace);
      for (Chunk chunk : chunks) {
        chunk.sequence().computed = chunk.to();
      }
      takeLogits(hidden, model, device, workspace);
    }
  }

  private void takeLogits(
      Tensor hidden, VisionLanguageModel model, Device device, Workspace workspace) {
    List<Sequence> finished = new ArrayList<>();
    List<Integer> lastRows = new ArrayList<>();
    int row = 0;
    for (Chunk chunk : chunks) {
      row += chunk.rows();
      if (chunk.isLast()) {
        finished.add(chunk.sequence());
        lastRows.add(row - 1);
      }
    }
    if (finished.isEmpty()) {
      return;
    }
    int[] ids = lastRows.stream().mapToInt(Integer::intValue).toArray();
    Tensor last = workspace.allocate(ids.length, hidden.columns());
    device.ops().gatherRows(hidden, workspace.upload(ids), last);
    Tensor logits = workspace.allocate(DType.F32, ids.length, model.spec().vocabSize());
    model.logits(last, logits, workspace);
    for (int i = 0; i < ids.length; i++) {
      finished.get(i).logits = device.download(logits.rows(i, i + 1));
    }
  }

  private int[] tokenIds() {
    int[] ids = new int[rows];
    int row = 0;
    for (Chunk chunk : chunks) {
      for (int position = chunk.from(); position < chunk.to(); position++) {
        ids[row++] = chunk.sequence().tokens.id(position);
      }
    }
    return ids;
  }

  private PagedBatch batch(Workspace workspace) {
    int[] starts = new int[chunks.size() + 1];
    int[] positions = new int[rows];
    int[] slots = new int[rows];
    int[] contextRows = new int[chunks.size()];
    int[][] tables = new int[chunks.size()][];
    int longestQuery = 0;
    int longestContext = 0;
    int widestTable = 0;
    int row = 0;
    for (int i = 0; i < chunks.size(); i++) {
      Chunk chunk = chunks.get(i);
      for (int position = chunk.from(); position < chunk.to(); position++) {
        positions[row] = position;
        slots[row++] = chunk.sequence().lease.slot(position);
      }
      starts[i + 1] = row;
      contextRows[i] = chunk.to();
      tables[i] = chunk.sequence().lease.blockTable();
      longestQuery = Math.max(longestQuery, chunk.rows());
      longestContext = Math.max(longestContext, chunk.to());
      widestTable = Math.max(widestTable, tables[i].length);
    }
    int[] flatTables = new int[chunks.size() * widestTable];
    for (int i = 0; i < tables.length; i++) {
      System.arraycopy(tables[i], 0, flatTables, i * widestTable, tables[i].length);
    }
    Tensor blockTables = workspace.allocate(DType.I32, chunks.size(), widestTable);
    workspace.device().upload(flatTables, blockTables);
    return new PagedBatch(
        new Segments(workspace.upload(starts), chunks.size(), longestQuery),
        workspace.upload(positions),
        workspace.upload(slots),
        workspace.upload(contextRows),
        blockTables,
        longestContext);
  }
}
