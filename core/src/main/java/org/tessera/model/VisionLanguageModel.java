package org.tessera.model;

import java.util.List;
import org.tessera.device.Workspace;
import org.tessera.image.ProcessedSlice;
import org.tessera.kv.KvCache;
import org.tessera.ops.Heads;
import org.tessera.ops.PagedBatch;
import org.tessera.tensor.Tensor;

/**
 * What the engine needs of a model, or of the part of it that one rank holds: pictures to features,
 * tokens to hidden states to logits. What the rank does not hold is not to be called.
 */
public interface VisionLanguageModel {
  Spec spec();

  /**
   * Features of slices, each by itself.
   *
   * @param out [slices * query_num, hidden_size], in the order of the slices
   */
  void encodeImages(List<ProcessedSlice> slices, Tensor out, Workspace workspace);

  /** Token embeddings: ids I32 [1, n] to hidden [n, hidden_size]. */
  void embed(Tensor ids, Tensor hidden);

  /** The decoder layers of this rank, in place on hidden [n, hidden_size]. */
  void forward(Tensor hidden, PagedBatch batch, KvCache cache, Workspace workspace);

  /** Rows of hidden states after the last layer to logits F32 [n, vocab_size]. */
  void logits(Tensor hidden, Tensor logits, Workspace workspace);

  /**
   * Sizes that the engine plans with.
   *
   * @param layerCount decoder layers that this rank holds
   * @param heads the decoder's heads on this rank
   * @param queryNum features a slice
   * @param maxPositions longest sequence the model was made for
   */
  record Spec(
      int layerCount, Heads heads, int hiddenSize, int vocabSize, int queryNum, int maxPositions) {}
}
