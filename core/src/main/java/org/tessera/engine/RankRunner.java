package org.tessera.engine;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.device.Workspace;
import org.tessera.engine.StepInput.Splice;
import org.tessera.image.ProcessedSlice;
import org.tessera.kv.KvCache;
import org.tessera.kv.KvCache.RowCopies;
import org.tessera.model.VisionLanguageModel;
import org.tessera.ops.PagedBatch;
import org.tessera.ops.Segments;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/** Runs what one device holds of a model: all of it, or one rank's part. */
public final class RankRunner implements ModelRunner {
  private final VisionLanguageModel model;
  private final Device device;
  private final KvCache cache;
  private final Workspace workspace;
  private final Map<Long, Features> images = new HashMap<>();

  private record Features(DeviceMemory memory, Tensor rows) {}

  /**
   * @param device where the model's activations and cache live
   * @throws org.tessera.error.DeviceException where memory for the cache does not suffice
   */
  public RankRunner(VisionLanguageModel model, Device device, EngineOptions options) {
    this.model = model;
    this.device = device;
    VisionLanguageModel.Spec spec = model.spec();
    cache =
        new KvCache(
            device, spec.layerCount(), spec.heads(), options.kvBlocks(), options.kvBlockRows());
    workspace = new Workspace(device);
  }

  @Override
  public VisionLanguageModel.Spec spec() {
    return model.spec();
  }

  @Override
  public void encodeImages(
      long imagesId, List<ProcessedSlice> slices, int firstRow, int totalRows) {
    Features features = images.computeIfAbsent(imagesId, id -> allocate(totalRows));
    int rows = slices.size() * model.spec().queryNum();
    model.encodeImages(slices, features.rows().rows(firstRow, firstRow + rows), workspace);
  }

  @Override
  public void releaseImages(long imagesId) {
    Features features = images.remove(imagesId);
    if (features != null) {
      features.memory().close();
    }
  }

  @Override
  public float[][] run(StepInput step) {
    try (var scope = workspace.open()) {
      Tensor hidden = workspace.allocate(step.tokenIds().length, model.spec().hiddenSize());
      model.embed(workspace.upload(step.tokenIds()), hidden);
      step.splices().forEach(splice -> splice(splice, hidden));
      model.forward(hidden, batch(step), cache, workspace);
      return logits(step.logitRows(), hidden);
    }
  }

  @Override
  public void copyKv(RowCopies copies) {
    cache.copy(copies);
  }

  @Override
  public void close() {
    List.copyOf(images.keySet()).forEach(this::releaseImages);
    workspace.close();
    cache.close();
  }

  private Features allocate(int rows) {
    DeviceMemory memory = device.allocateRegion();
    return new Features(
        memory, memory.allocate(device.activationType(), rows, model.spec().hiddenSize()));
  }

  private void splice(Splice splice, Tensor hidden) {
    Features features = images.get(splice.imagesId());
    if (features == null) {
      throw new IllegalStateException("the pictures of this prompt are not encoded");
    }
    int[] ids = new int[splice.count()];
    Arrays.setAll(ids, i -> splice.row() + i);
    Tensor rows = features.rows().rows(splice.featureRow(), splice.featureRow() + splice.count());
    device.ops().scatterRows(rows, workspace.upload(ids), hidden);
  }

  private float[][] logits(int[] rows, Tensor hidden) {
    float[][] result = new float[rows.length][];
    if (rows.length > 0) {
      Tensor wanted = workspace.allocate(rows.length, hidden.columns());
      device.ops().gatherRows(hidden, workspace.upload(rows), wanted);
      Tensor logits = workspace.allocate(DType.F32, rows.length, model.spec().vocabSize());
      model.logits(wanted, logits, workspace);
      Arrays.setAll(result, i -> device.download(logits.rows(i, i + 1)));
    }
    return result;
  }

  private PagedBatch batch(StepInput step) {
    int sequences = step.contextRows().length;
    int longestQuery = 0;
    for (int i = 0; i < sequences; i++) {
      longestQuery = Math.max(longestQuery, step.queryStarts()[i + 1] - step.queryStarts()[i]);
    }
    int widestTable = Arrays.stream(step.blockTables()).mapToInt(row -> row.length).max().orElse(0);
    int[] flatTables = new int[sequences * widestTable];
    for (int i = 0; i < sequences; i++) {
      int[] table = step.blockTables()[i];
      System.arraycopy(table, 0, flatTables, i * widestTable, table.length);
    }
    Tensor blockTables = workspace.allocate(DType.I32, sequences, widestTable);
    device.upload(flatTables, blockTables);
    return new PagedBatch(
        new Segments(workspace.upload(step.queryStarts()), sequences, longestQuery),
        workspace.upload(step.positions()),
        workspace.upload(step.slots()),
        workspace.upload(step.contextRows()),
        blockTables,
        Arrays.stream(step.contextRows()).max().orElse(0));
  }
}
