package org.tessera.model;

import java.util.List;
import java.util.Optional;
import org.tessera.config.CheckpointConfig;
import org.tessera.config.ModelConfig;
import org.tessera.config.VisionConfig;
import org.tessera.device.Device;
import org.tessera.device.Workspace;
import org.tessera.error.InvalidRequestException;
import org.tessera.image.ImageProcessor;
import org.tessera.image.PatchGrid;
import org.tessera.image.ProcessedSlice;
import org.tessera.kv.KvCache;
import org.tessera.ops.PagedBatch;
import org.tessera.ops.Pixels;
import org.tessera.ops.Segments;
import org.tessera.parallel.Rank;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;
import org.tessera.weights.Weights;

/** MiniCPM-V 2.6: a SigLIP tower ({@code vpm}), a resampler and a Qwen2 decoder ({@code llm}). */
final class MiniCpmV implements VisionLanguageModel {
  private final Device device;
  private final ModelConfig config;

  /** Elements of 16 bytes at most: rows that begin at multiples of it suit every device. */
  private static final int ROW_ALIGNMENT = 8;

  private final int patchSize;

  /** What a byte of red, green or blue stands for: F32 [3, 256]. */
  private final Tensor pixelValues;

  private final GridInts segmentStarts;
  private final Qwen2 llm;
  private final Optional<SiglipVision> vpm;
  private final Optional<Resampler> resampler;

  MiniCpmV(Weights weights, CheckpointConfig checkpoint, Rank rank) {
    this.device = rank.device();
    this.config = checkpoint.model();
    ImageProcessor processor = ImageProcessor.of(checkpoint.preprocessor());
    patchSize = processor.patchSize();
    pixelValues = weights.region().allocate(DType.F32, 3, 256);
    device.upload(processor.normalisedValues(), pixelValues);
    segmentStarts = new GridInts(device, weights.region());
    VisionConfig vision = config.visionConfig();
    llm = new Qwen2(weights.at("llm"), config, rank);
    vpm =
        rank.part()
            .vision(() -> new SiglipVision(weights.at("vpm"), vision, config.visionLayers(), rank));
    resampler = rank.part().vision(() -> new Resampler(weights.at("resampler"), config, rank));
  }

  @Override
  public Spec spec() {
    return new Spec(
        llm.layerCount(),
        llm.localHeads(),
        config.hiddenSize(),
        config.vocabSize(),
        config.queryNum(),
        config.maxPositionEmbeddings());
  }

  @Override
  public void encodeImages(List<ProcessedSlice> slices, Tensor out, Workspace workspace) {
    List<PatchGrid> grids = slices.stream().map(ProcessedSlice::grid).toList();
    try (var scope = workspace.open()) {
      Segments segments = segments(grids);
      Tensor patches = patches(slices, workspace);
      Tensor encoded = workspace.allocate(patches.rows(), config.visionConfig().hiddenSize());
      vpm().forward(patches, grids, segments, encoded, workspace);
      resampler.orElseThrow().forward(encoded, grids, segments, out, workspace);
    }
  }

  @Override
  public void embed(Tensor ids, Tensor hidden) {
    llm.embed(ids, hidden);
  }

  @Override
  public void forward(Tensor hidden, PagedBatch batch, KvCache cache, Workspace workspace) {
    llm.forward(hidden, batch, cache, workspace);
  }

  @Override
  public void logits(Tensor hidden, Tensor logits, Workspace workspace) {
    llm.logits(hidden, logits, workspace);
  }

  Qwen2 llm() {
    return llm;
  }

  SiglipVision vpm() {
    return vpm.orElseThrow(() ->
        new InvalidRequestException(
            "this model was loaded without its vision tower and answers to text alone"));
  }

  /** The patches of each grid, packed one after the other. */
  Segments segments(List<PatchGrid> grids) {
    int longest = grids.stream().mapToInt(PatchGrid::patchCount).max().orElse(0);
    return new Segments(segmentStarts.of(grids, () -> starts(grids)), grids.size(), longest);
  }

  private static int[] starts(List<PatchGrid> grids) {
    int[] starts = new int[grids.size() + 1];
    for (int i = 0; i < grids.size(); i++) {
      starts[i + 1] = starts[i] + grids.get(i).patchCount();
    }
    return starts;
  }

  /** The patches of all slices: [patches, channels * patch * patch]. */
  Tensor patches(List<ProcessedSlice> slices, Workspace workspace) {
    int rows = slices.stream().mapToInt(slice -> slice.grid().patchCount()).sum();
    int columns = 3 * patchSize * patchSize;
    int stride = Math.ceilDiv(columns, ROW_ALIGNMENT) * ROW_ALIGNMENT;
    Tensor patches = workspace.allocate(rows, stride).columns(0, columns);
    List<Pixels> pictures =
        slices.stream()
            .map(slice ->
                new Pixels(
                    slice.pixels().rgb(),
                    slice.pixels().width(),
                    slice.grid().rows(),
                    slice.grid().columns()))
            .toList();
    device.ops().patches(pictures, patchSize, pixelValues, patches);
    return patches;
  }
}
