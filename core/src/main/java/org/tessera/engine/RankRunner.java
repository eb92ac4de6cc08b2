package org.tessera.engine;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
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
  /** Elements of F32 in 32 bytes. */
  private static final int LOGITS_ALIGNMENT = 8;

  private final VisionLanguageModel model;
  private final Device device;
  private final KvCache cache;
  private final Workspace workspace;
  private final Map<Long, Features> images = new HashMap<>();
  private final Map<DecodeStep.Size, DecodeStep> decodeSteps = new HashMap<>();
  private final DeviceMemory recordedRegion;

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
    recordedRegion = device.allocateRegion();
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
  public StepOutput run(StepInput step) {
    if (device.recordsWork() && step.isDecode() && DecodeStep.takes(step)) {
      return decode(step);
    }
    try (var scope = workspace.open()) {
      Tensor hidden = workspace.allocate(step.tokenIds().length, model.spec().hiddenSize());
      model.embed(workspace.upload(step.tokenIds()), hidden);
      step.splices().forEach(splice -> splice(splice, hidden));
      model.forward(hidden, batch(step), cache, workspace);
      int[] wanted = concatenated(step.logitRows(), step.greedyRows());
      if (wanted.length == 0) {
        return new StepOutput(new float[0][], new int[0]);
      }
      Tensor ends = workspace.allocate(wanted.length, hidden.columns());
      device.ops().gatherRows(hidden, workspace.upload(wanted), ends);
      Tensor logits = allocateLogits(workspace::allocate, wanted.length);
      model.logits(ends, logits, workspace);
      int first = step.logitRows().length;
      return new StepOutput(
          download(logits, IntStream.range(0, first).toArray()),
          likeliest(logits.rows(first, wanted.length)));
    }
  }

  /** A step whose work is recorded: its inputs go where the record finds them. */
  private StepOutput decode(StepInput step) {
    DecodeStep.Size size = DecodeStep.Size.of(step, cache.rows(), cache.blockRows());
    DecodeStep recorded =
        decodeSteps.computeIfAbsent(size, key -> new DecodeStep(this, key, recordedRegion));
    device.upload(recorded.packed(step), recorded.inputs());
    device.replay(
        recorded,
        () -> {
          try (var scope = workspace.open()) {
            Tensor hidden = workspace.allocate(size.rows(), model.spec().hiddenSize());
            model.embed(recorded.tokenIds(), hidden);
            model.forward(hidden, recorded.batch(), cache, workspace);
            model.logits(hidden, recorded.logits(), workspace);
            device.ops().argmax(recorded.logits(), recorded.likeliest());
          }
        });
    int[] ids = new int[size.rows()];
    if (step.greedyRows().length > 0) {
      device.download(recorded.likeliest(), ids);
    }
    return new StepOutput(
        download(recorded.logits(), step.logitRows()),
        Arrays.stream(step.greedyRows()).map(row -> ids[row]).toArray());
  }

  private float[][] download(Tensor logits, int[] rows) {
    return Arrays.stream(rows)
        .mapToObj(row -> device.download(logits.rows(row, row + 1)))
        .toArray(float[][]::new);
  }

  private int[] likeliest(Tensor logits) {
    int[] ids = new int[logits.rows()];
    if (ids.length > 0) {
      Tensor onDevice = workspace.allocate(DType.I32, 1, ids.length);
      device.ops().argmax(logits, onDevice);
      device.download(onDevice, ids);
    }
    return ids;
  }

  /** Where logits are allocated: memory of a step, or of a recorded one. */
  interface Allocator {
    Tensor allocate(DType dtype, int rows, int columns);
  }

  /** F32 [rows, vocab_size], every row at the alignment that fast products ask for. */
  Tensor allocateLogits(Allocator memory, int rows) {
    int vocabSize = model.spec().vocabSize();
    int stride = Math.ceilDiv(vocabSize, LOGITS_ALIGNMENT) * LOGITS_ALIGNMENT;
    return memory.allocate(DType.F32, rows, stride).columns(0, vocabSize);
  }

  private static int[] concatenated(int[] first, int[] second) {
    return IntStream.concat(Arrays.stream(first), Arrays.stream(second)).toArray();
  }

  @Override
  public void copyKv(RowCopies copies) {
    cache.copy(copies);
  }

  @Override
  public void close() {
    List.copyOf(images.keySet()).forEach(this::releaseImages);
    decodeSteps.values().forEach(device::forget);
    recordedRegion.close();
    workspace.close();
    cache.close();
  }

  private Features allocate(int rows) {
    DeviceMemory memory = device.allocateRegion();
    try {
      return new Features(
          memory, memory.allocate(device.activationType(), rows, model.spec().hiddenSize()));
    } catch (RuntimeException | Error e) {
      memory.close();
      throw e;
    }
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
