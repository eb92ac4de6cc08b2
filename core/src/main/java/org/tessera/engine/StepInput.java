package org.tessera.engine;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.tessera.ops.SamplingParameters;

/**
 * New positions of several sequences, packed one after the other. The arrays are not to be changed.
 *
 * @param tokenIds [rows]
 * @param positions [rows] in their sequences
 * @param slots [rows] of the cache
 * @param queryStarts [sequences + 1]
 * @param contextRows [sequences] in the cache once this step is done
 * @param blockTables [sequences][], block numbers of each
 * @param splices where features of pictures take the place of embeddings
 * @param logitRows rows whose logits are wanted
 * @param greedyRows rows of which the likeliest token is wanted
 * @param sampledRows rows of which the device is to choose a token; none unless {@link
 *     ModelRunner#samplesOnDevice}
 */
@SuppressWarnings("ArrayRecordComponent") // lives for one step and goes to the device as it is
public record StepInput(
    int[] tokenIds,
    int[] positions,
    int[] slots,
    int[] queryStarts,
    int[] contextRows,
    int[][] blockTables,
    List<Splice> splices,
    int[] logitRows,
    int[] greedyRows,
    List<SampledRow> sampledRows) {
  /**
   * Whether this is one next token of every sequence and nothing else: the step that recurs for
   * each token of an answer.
   */
  boolean isDecode() {
    return tokenIds.length == contextRows.length
        && splices.isEmpty()
        && logitRows.length + greedyRows.length + sampledRows.size() == tokenIds.length;
  }

  /** Rows of which something is wanted: logits, then likeliest tokens, then chosen ones. */
  int[] wantedRows() {
    return Stream.of(
            Arrays.stream(logitRows),
            Arrays.stream(greedyRows),
            sampledRows.stream().mapToInt(SampledRow::row))
        .flatMapToInt(rows -> rows)
        .toArray();
  }

  /**
   * Features over embeddings.
   *
   * @param featureRow first row among the features of {@code imagesId}
   * @param row first row of the step
   */
  record Splice(long imagesId, int featureRow, int row, int count) {}

  /**
   * A row whose next token {@link org.tessera.ops.Ops#sample} chooses.
   *
   * @param row of the step
   * @param recount tokens that the parameters' row of counts must be set to first, or null where it
   *     holds what it should
   */
  @SuppressWarnings("ArrayRecordComponent") // lives for one step
  public record SampledRow(int row, SamplingParameters parameters, int @Nullable [] recount) {}
}
