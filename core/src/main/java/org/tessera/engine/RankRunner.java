package org.tessera.engine;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.device.Workspace;
import org.tessera.engine.StepInput.SampledRow;
import org.tessera.engine.StepInput.Splice;
import org.tessera.image.ProcessedSlice;
import org.tessera.kv.KvCache;
import org.tessera.kv.KvCache.RowCopies;
import org.tessera.model.VisionLanguageModel;
import org.tessera.ops.PagedBatch;
import org.tessera.ops.SamplingParameters;
import org.tessera.ops.Segments;
import org.tessera.parallel.ModelPart;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/**
 * Runs what one device holds of a model: all of it, or one rank's part. A part without embeddings
 * or without the head is run by {@link #run(StepInput, Passage)}.
 */
public final class RankRunner implements ModelRunner {
  /** Elements of F32 in 256 bytes; among them finds room what ranks pad a vocabulary with. */
  private static final int LOGITS_ALIGNMENT = 64;

  private static final StepOutput NO_OUTPUT =
      new StepOutput(new float[0][], new int[0], new int[0]);

  private final VisionLanguageModel model;
  private final Device device;
  private final boolean hasHead;
  private final KvCache cache;
  private final Workspace workspace;
  private final Map<Long, Features> images = new HashMap<>();
  private final Map<DecodeStep.Size, DecodeStep> decodeSteps = new HashMap<>();
  private final DeviceMemory recordedRegion;
  private final TokenCounts counts;

  /** Memory for features that no prompt uses: allocating and freeing stop a device's work. */
  private @Nullable Features spare;

  private record Features(DeviceMemory memory, Tensor rows) {}

  /**
   * Where hidden states [rows, hidden_size] come from and go to.
   *
   * @param source fills them; absent where this rank embeds tokens
   * @param sink takes them after this rank's layers, until it returns; absent where this rank has
   *     the head
   */
  record Passage(Optional<Consumer<Tensor>> source, Optional<Consumer<Tensor>> sink) {
    /** For a rank that has embeddings and head itself. */
    static final Passage NONE = new Passage(Optional.empty(), Optional.empty());
  }

  /**
   * @param device where the model's activations and cache live
   * @throws org.tessera.error.DeviceException where memory for the cache or for the counts of
   *     sampling does not suffice
   */
  public RankRunner(VisionLanguageModel model, Device device, EngineOptions options) {
    this(model, device, ModelPart.WHOLE, options);
  }

  /**
   * As the other constructor, for a rank that holds a part of the model's modules.
   *
   * @throws org.tessera.error.DeviceException where memory for the cache does not suffice
   */
  public RankRunner(
      VisionLanguageModel model, Device device, ModelPart part, EngineOptions options) {
    this.model = model;
    this.device = device;
    this.hasHead = part.hasHead();
    VisionLanguageModel.Spec spec = model.spec();
    cache =
        new KvCache(
            device, spec.layerCount(), spec.heads(), options.kvBlocks(), options.kvBlockRows());
    workspace = new Workspace(device);
    recordedRegion = device.allocateRegion();
    counts =
        new TokenCounts(
            device,
            hasHead && device.samplesOnDevice() ? options.maxRunning() : 0,
            spec.vocabSize());
  }

  @Override
  public VisionLanguageModel.Spec spec() {
    return model.spec();
  }

  @Override
  public boolean samplesOnDevice() {
    return hasHead && device.samplesOnDevice();
  }

  @Override
  public void encodeImages(
      long imagesId, List<ProcessedSlice> slices, int firstRow, int totalRows) {
    Features features = images.computeIfAbsent(imagesId, id -> allocate(totalRows));
    int rows = slices.size() * model.spec().queryNum();
    model.encodeImages(slices, features.rows().rows(firstRow, firstRow + rows), workspace);
  }

  /**
   * Takes features that another device has encoded. They may be on their way when this returns:
   * until {@link #awaitImages} their source must not be written.
   *
   * @param rows [count, hidden_size] on {@code from}, the rows from {@code firstRow} on
   */
  void receiveImages(long imagesId, Device from, Tensor rows, int firstRow, int totalRows) {
    Features features = images.computeIfAbsent(imagesId, id -> allocate(totalRows));
    Tensor target = features.rows().rows(firstRow, firstRow + rows.rows());
    if (from.equals(device)) {
      device.ops().copy(rows, target);
    } else {
      device.receive(from, rows, target);
    }
  }

  /** Returns when all features that were {@linkplain #receiveImages received} are here. */
  void awaitImages() {
    try (var scope = workspace.open()) {
      device.download(workspace.allocate(DType.F32, 1, 1));
    }
  }

  @Override
  public void releaseImages(long imagesId) {
    Features features = images.remove(imagesId);
    if (features == null) {
      return;
    }
    Features kept = spare;
    if (kept == null || kept.rows().rows() < features.rows().rows()) {
      spare = features;
      features = kept;
    }
    if (features != null) {
      features.memory().close();
    }
  }

  @Override
  public StepOutput run(StepInput step) {
    return run(step, Passage.NONE);
  }

  /** One pass of this rank's layers. The output is empty where hidden states go to a sink. */
  StepOutput run(StepInput step, Passage passage) {
    if (hasHead) {
      counts.recount(step.sampledRows());
    }
    if (device.recordsWork() && step.isDecode() && DecodeStep.takes(step)) {
      return decode(step, passage);
    }
    try (var scope = workspace.open()) {
      Tensor hidden = allocateHidden(workspace::allocate, step.tokenIds().length);
      passage.source().ifPresentOrElse(source -> source.accept(hidden), () -> embed(step, hidden));
      model.forward(hidden, batch(step), cache, workspace);
      if (passage.sink().isPresent()) {
        passage.sink().get().accept(hidden);
        return NO_OUTPUT;
      }
      int[] wanted = step.wantedRows();
      if (wanted.length == 0) {
        return NO_OUTPUT;
      }
      Tensor ends = workspace.allocate(wanted.length, hidden.columns());
      device.ops().gatherRows(hidden, workspace.upload(wanted), ends);
      Tensor logits = allocateLogits(workspace::allocate, wanted.length);
      model.logits(ends, logits, workspace);
      int greedy = step.logitRows().length;
      int sampled = greedy + step.greedyRows().length;
      return new StepOutput(
          download(logits, IntStream.range(0, greedy).toArray()),
          likeliest(logits.rows(greedy, sampled)),
          sample(logits.rows(sampled, wanted.length), step.sampledRows()));
    }
  }

  /** A step whose work is recorded: its inputs go where the record finds them. */
  private StepOutput decode(StepInput step, Passage passage) {
    DecodeStep.Size size = DecodeStep.Size.of(step, hasHead, cache.rows(), cache.blockRows());
    DecodeStep recorded =
        decodeSteps.computeIfAbsent(size, key -> new DecodeStep(this, key, recordedRegion));
    device.upload(recorded.packed(step), recorded.inputs());
    Tensor hidden = recorded.hidden();
    Tensor used = hidden.rows(0, step.tokenIds().length);
    passage.source().ifPresent(source -> source.accept(used));
    device.replay(
        recorded,
        () -> {
          try (var scope = workspace.open()) {
            if (passage.source().isEmpty()) {
              model.embed(recorded.tokenIds(), hidden);
            }
            model.forward(hidden, recorded.batch(), cache, workspace);
            if (passage.sink().isEmpty()) {
              model.logits(hidden, recorded.logits(), workspace);
              recorded.choose(device.ops(), counts.tensor());
            }
          }
        });
    if (passage.sink().isPresent()) {
      passage.sink().get().accept(used);
      return NO_OUTPUT;
    }
    int[] ids = new int[size.rows()];
    if (step.logitRows().length < step.tokenIds().length) {
      device.download(recorded.chosen(), ids);
    }
    return new StepOutput(
        download(recorded.logits(), step.logitRows()),
        Arrays.stream(step.greedyRows()).map(row -> ids[row]).toArray(),
        step.sampledRows().stream().mapToInt(sampled -> ids[sampled.row()]).toArray());
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

  private int[] sample(Tensor logits, List<SampledRow> sampledRows) {
    int[] ids = new int[sampledRows.size()];
    if (ids.length > 0) {
      int[] packed = new int[ids.length * SamplingParameters.INTS];
      for (int i = 0; i < ids.length; i++) {
        sampledRows.get(i).parameters().write(packed, i * SamplingParameters.INTS);
      }
      Tensor parameters = workspace.allocate(DType.I32, ids.length, SamplingParameters.INTS);
      device.upload(packed, parameters);
      Tensor onDevice = workspace.allocate(DType.I32, 1, ids.length);
      device.ops().sample(logits, parameters, counts.tensor(), onDevice);
      device.download(onDevice, ids);
    }
    return ids;
  }

  /** Where logits are allocated: memory of a step, or of a recorded one. */
  interface Allocator {
    Tensor allocate(DType dtype, int rows, int columns);
  }

  /** [rows, hidden_size] in the device's activation type. */
  Tensor allocateHidden(Allocator memory, int rows) {
    return memory.allocate(device.activationType(), rows, model.spec().hiddenSize());
  }

  /**
   * F32 [rows, vocab_size], a single row where no logits are computed here, every row at the
   * alignment that fast products ask for.
   */
  Tensor allocateLogits(Allocator memory, int rows) {
    int vocabSize = model.spec().vocabSize();
    int stride = Math.ceilDiv(vocabSize, LOGITS_ALIGNMENT) * LOGITS_ALIGNMENT;
    return memory.allocate(DType.F32, hasHead ? rows : 1, stride).columns(0, vocabSize);
  }

  @Override
  public void copyKv(RowCopies copies) {
    cache.copy(copies);
  }

  @Override
  public void close() {
    List.copyOf(images.keySet()).forEach(this::releaseImages);
    closeSpare();
    decodeSteps.values().forEach(device::forget);
    recordedRegion.close();
    counts.close();
    workspace.close();
    cache.close();
  }

  private Features allocate(int rows) {
    Features kept = spare;
    if (kept != null && kept.rows().rows() >= rows) {
      spare = null;
      return kept;
    }
    closeSpare();
    DeviceMemory memory = device.allocateRegion();
    try {
      return new Features(
          memory, memory.allocate(device.activationType(), rows, model.spec().hiddenSize()));
    } catch (RuntimeException | Error e) {
      memory.close();
      throw e;
    }
  }

  private void closeSpare() {
    if (spare != null) {
      spare.memory().close();
      spare = null;
    }
  }

  private void embed(StepInput step, Tensor hidden) {
    model.embed(workspace.upload(step.tokenIds()), hidden);
    step.splices().forEach(splice -> splice(splice, hidden));
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
