package org.tessera.engine;

import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Random;
import org.tessera.device.Workspace;
import org.tessera.image.ProcessedSlice;
import org.tessera.kv.KvCache;
import org.tessera.model.VisionLanguageModel;
import org.tessera.ops.Heads;
import org.tessera.ops.PagedBatch;
import org.tessera.tensor.Tensor;

/** Logits that look random and depend on a token and its position alone. */
final class RandomModel implements VisionLanguageModel {
  static final int VOCABULARY = 60;

  /** After this token the logits are broken. */
  static final int BREAKS = 59;

  private static final int MAX_POSITIONS = 1000;

  @Override
  public Spec spec() {
    return new Spec(1, new Heads(1, 1, 2), 1, VOCABULARY, 4, MAX_POSITIONS);
  }

  @Override
  public void encodeImages(List<ProcessedSlice> slices, Tensor out, Workspace workspace) {
    throw new AssertionError("no request has a picture");
  }

  @Override
  public void embed(Tensor ids, Tensor hidden) {
    for (int row = 0; row < hidden.rows(); row++) {
      int id = ids.memory().getAtIndex(ValueLayout.JAVA_INT, row);
      hidden.memory().setAtIndex(ValueLayout.JAVA_FLOAT, row, id);
    }
  }

  @Override
  public void forward(Tensor hidden, PagedBatch batch, KvCache cache, Workspace workspace) {
    for (int row = 0; row < hidden.rows(); row++) {
      int position = batch.positions().memory().getAtIndex(ValueLayout.JAVA_INT, row);
      float id = hidden.memory().getAtIndex(ValueLayout.JAVA_FLOAT, row);
      hidden.memory().setAtIndex(ValueLayout.JAVA_FLOAT, row, id + VOCABULARY * position);
    }
  }

  @Override
  public void logits(Tensor hidden, Tensor logits, Workspace workspace) {
    for (int row = 0; row < hidden.rows(); row++) {
      int state = (int) hidden.memory().getAtIndex(ValueLayout.JAVA_FLOAT, row);
      Random random = new Random(0x9E3779B97F4A7C15L * state);
      for (int id = 0; id < VOCABULARY; id++) {
        float logit = 2 * (float) random.nextGaussian();
        logits
            .memory()
            .setAtIndex(
                ValueLayout.JAVA_FLOAT,
                row * logits.rowStride() + id,
                Math.floorMod(state, VOCABULARY) == BREAKS ? Float.NaN : logit);
      }
      // Nothing but a prompt comes to that token.
      logits
          .memory()
          .setAtIndex(
              ValueLayout.JAVA_FLOAT,
              row * logits.rowStride() + BREAKS,
              Math.floorMod(state, VOCABULARY) == BREAKS ? Float.NaN : -100f);
    }
  }
}
