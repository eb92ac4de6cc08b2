package org.tessera.engine;

import java.util.List;
import org.tessera.image.ProcessedSlice;
import org.tessera.kv.KvCache.RowCopies;
import org.tessera.model.VisionLanguageModel;

/**
 * A model on its device or devices, as the engine drives it: everything goes in and comes out as
 * host values, so that one rank and many look alike. Called by the engine's thread alone.
 */
public interface ModelRunner extends AutoCloseable {
  /** Sizes of the model; layers and heads are those of its first rank. */
  VisionLanguageModel.Spec spec();

  /**
   * Encodes slices and keeps their features for later steps.
   *
   * @param imagesId whose features they are; new ids need no announcement
   * @param firstRow row of the first feature among those of {@code imagesId}
   * @param totalRows rows that {@code imagesId} will have in all
   */
  void encodeImages(long imagesId, List<ProcessedSlice> slices, int firstRow, int totalRows);

  /** Frees the features of {@code imagesId}, if there are any. */
  void releaseImages(long imagesId);

  /** One pass of the decoder. */
  StepOutput run(StepInput step);

  /**
   * Whether steps may ask for tokens chosen on the device, with counts for as many sequences as the
   * engine runs at a time.
   */
  default boolean samplesOnDevice() {
    return false;
  }

  /** Copies rows of the key/value cache in all layers. */
  void copyKv(RowCopies copies);

  @Override
  void close();
}
