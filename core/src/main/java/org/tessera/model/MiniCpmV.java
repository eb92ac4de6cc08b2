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
import org.tessera.ops.Segments;
import org.tessera.parallel.Rank;
import org.tessera.tensor.Tensor;
import org.tessera.weights.Weights;

/** MiniCPM-V 2.6: a SigLIP tower ({@code vpm}), a resampler and a Qwen2 decoder ({@code llm}). */
final class MiniCpmV implements VisionLanguageModel {
  private final Device device;
  private final ModelConfig config;
  private final ImageProcessor processor;
  private final Qwen2 llm;
  private final Optional<SiglipVision> vpm;
  private final Optional<Resampler> resampler;

  MiniCpmV(Weights weights, CheckpointConfig checkpoint, Rank rank) {
    this.device = rank.device();
    this.config = checkpoint.model();
    this.processor = ImageProcessor.of(checkpoint.preprocessor());
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
      Segments segments = segments(grids, workspace);
      Tensor patches = uploadPatches(slices, workspace);
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

  static Segments segments(List<PatchGrid> grids, Workspace workspace) {
    int[] starts = new int[grids.size() + 1];
    int longest = 0;
    for (int i = 0; i < grids.size(); i++) {
      int count = grids.get(i).patchCount();
      starts[i + 1] = starts[i] + count;
      longest = Math.max(longest, count);
    }
    return new Segments(workspace.upload(starts), grids.size(), longest);
  }

  Tensor uploadPatches(List<ProcessedSlice> slices, Workspace workspace) {
    VisionConfig vision = config.visionConfig();
    int columns = vision.numChannels() * vision.patchSize() * vision.patchSize();
    int rows = slices.stream().mapToInt(slice -> slice.grid().patchCount()).sum();
    Tensor patches = workspace.allocate(rows, columns);
    int next = 0;
    for (ProcessedSlice slice : slices) {
      int count = slice.grid().patchCount();
      device.upload(processor.patches(slice), patches.rows(next, next + count));
      next += count;
    }
    return patches;
  }
}
