package org.tessera.engine;

import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import org.tessera.device.Device;
import org.tessera.device.Workspace;
import org.tessera.image.ProcessedSlice;
import org.tessera.kv.KvCache;
import org.tessera.model.VisionLanguageModel;
import org.tessera.ops.Heads;
import org.tessera.ops.PagedBatch;
import org.tessera.parallel.Collective;
import org.tessera.tensor.Tensor;

/**
 * A model whose next token is its last one plus the number of its layers, cut as a test likes it:
 * each layer adds one, its ranks share the sum through two collectives.
 */
final class StageModel implements VisionLanguageModel {
  static final int VOCAB = 1000;
  static final int QUERY_NUM = 4;

  /** What an encoded slice counts as. */
  static final float FEATURE = 500;

  private final Device device;
  private final Collective collective;
  private final int layers;

  /** Called with the rows of each call: fails or waits as a test likes it. */
  Consumer<Tensor> beforeLayers = hidden -> {};

  Consumer<Tensor> betweenCollectives = hidden -> {};
  Runnable beforeVision = () -> {};

  /** Token ids that were embedded here. */
  final Set<Integer> seen = ConcurrentHashMap.newKeySet();

  StageModel(Device device, Collective collective, int layers) {
    this.device = device;
    this.collective = collective;
    this.layers = layers;
  }

  @Override
  public Spec spec() {
    return new Spec(layers, new Heads(1, 1, 2), 1, VOCAB, QUERY_NUM, 100_000);
  }

  @Override
  public void encodeImages(List<ProcessedSlice> slices, Tensor out, Workspace workspace) {
    beforeVision.run();
    float[] features = new float[out.rows()];
    Arrays.fill(features, FEATURE);
    device.upload(features, out);
  }

  @Override
  public void embed(Tensor ids, Tensor hidden) {
    float[] values = new float[ids.columns()];
    for (int i = 0; i < values.length; i++) {
      int id = ids.memory().getAtIndex(ValueLayout.JAVA_INT, i);
      seen.add(id);
      values[i] = id;
    }
    device.upload(values, hidden);
  }

  @Override
  public void forward(Tensor hidden, PagedBatch batch, KvCache cache, Workspace workspace) {
    beforeLayers.accept(hidden);
    float[] values = device.download(hidden);
    for (int i = 0; i < values.length; i++) {
      values[i] = (values[i] + layers) / collective.size();
    }
    device.upload(values, hidden);
    collective.allReduceSum(hidden);
    betweenCollectives.accept(hidden);
    float[] halves = device.download(hidden);
    for (int i = 0; i < halves.length; i++) {
      halves[i] /= collective.size();
    }
    device.upload(halves, hidden);
    collective.allReduceSum(hidden);
  }

  @Override
  public void logits(Tensor hidden, Tensor logits, Workspace workspace) {
    float[] last = device.download(hidden);
    for (int row = 0; row < last.length; row++) {
      float[] scores = new float[VOCAB];
      scores[Math.round(last[row]) % VOCAB] = 10;
      device.upload(scores, logits.rows(row, row + 1));
    }
  }
}
