package org.tessera.engine;

import java.util.Locale;
import java.util.OptionalInt;
import org.tessera.config.ModelConfig;
import org.tessera.config.VisionConfig;
import org.tessera.device.Device;
import org.tessera.error.PlanException;
import org.tessera.plan.ByteSize;
import org.tessera.tensor.DType;
import org.tessera.weights.WeightSource;
import org.tessera.weights.WeightSource.WeightInfo;

/**
 * What a whole model takes of one device, reckoned before anything is allocated there.
 *
 * @param device its id
 * @param freeBytes of the device, now
 * @param weightBytes of all weights as they are loaded; 0 where they stay where they are mapped
 * @param activationBytes of the larger of a step of the decoder and a batch of slices: an estimate,
 *     with what a workspace leaves unused between its slabs
 * @param runtimeBytes libraries, kernels and recorded steps: an estimate
 * @param kvBytesPerToken keys and values of a token in all layers
 */
public record MemoryBudget(
    String device,
    long freeBytes,
    long weightBytes,
    long activationBytes,
    long runtimeBytes,
    long kvBytesPerToken) {
  private static final int MIN_CONTEXT_TOKENS = 512;
  private static final long RUNTIME_BYTES = 512L << 20;

  /** Slabs of a workspace double, so that a part of the last one stays unused. */
  private static final double WORKSPACE_SHARE = 1.5;

  /** Slices far from square have up to an eighth more patches than square ones. */
  private static final double PATCH_MARGIN = 1.125;

  private static final int SLICE_SIDE = 448;

  /**
   * The budget of a device that holds weights of its own.
   *
   * @param type in which matrices are loaded
   */
  public static MemoryBudget of(
      Device device, ModelConfig config, WeightSource weights, DType type) {
    int bytes = device.activationType().bytes();
    long tokens = Math.min(device.prefillRows(), config.maxPositionEmbeddings());
    long activations =
        Math.max(
            tokens * decoderRow(config), patches(config, device.visionSlices()) * patchRow(config));
    return new MemoryBudget(
        device.info().id(),
        device.info().freeBytes(),
        weights.names().stream().mapToLong(name -> elements(weights.info(name))).sum()
            * type.bytes(),
        (long) (WORKSPACE_SHARE * activations * bytes),
        RUNTIME_BYTES,
        2L * config.numHiddenLayers() * config.numKeyValueHeads() * config.headDim() * bytes);
  }

  private static long elements(WeightInfo info) {
    return info.shape().elements();
  }

  /** Hidden, normalised, queries, keys and values, attended; gate and up, their product. */
  private static long decoderRow(ModelConfig config) {
    long queries = (long) config.numAttentionHeads() * config.headDim();
    long keys = (long) config.numKeyValueHeads() * config.headDim();
    long attention = 2 * queries + 2 * keys;
    return 3L * config.hiddenSize() + Math.max(attention, 3L * config.intermediateSize());
  }

  private static long patches(ModelConfig config, int slices) {
    double side = Math.ceil((double) SLICE_SIDE / config.patchSize());
    return (long) Math.ceil(slices * PATCH_MARGIN * side * side);
  }

  /** The patch, hidden and normalised; queries, keys and values or the MLP's; the resampler's. */
  private static long patchRow(ModelConfig config) {
    VisionConfig vision = config.visionConfig();
    long patch = 3L * vision.patchSize() * vision.patchSize();
    long layer = Math.max(3L * vision.hiddenSize(), vision.intermediateSize());
    return patch + 2L * vision.hiddenSize() + Math.max(layer, 3L * config.hiddenSize());
  }

  /** Bytes needed for a cache of so many tokens. */
  public long neededBytes(long contextTokens) {
    return weightBytes + activationBytes + runtimeBytes + contextTokens * kvBytesPerToken;
  }

  /**
   * The tokens for which the cache has room.
   *
   * @param asked what the user asked for
   * @param wanted where the user did not: as many as fit, so many at most
   * @throws PlanException where memory does not suffice: by how much, and what would fit
   */
  public int contextTokens(OptionalInt asked, int wanted) {
    long fitting = Math.max(0, (freeBytes - neededBytes(0)) / Math.max(1, kvBytesPerToken));
    int least = asked.orElse(Math.min(wanted, MIN_CONTEXT_TOKENS));
    if (fitting < least) {
      throw new PlanException(refusal(least, fitting));
    }
    return asked.orElse((int) Math.min(wanted, fitting));
  }

  private String refusal(int tokens, long fitting) {
    long missing = neededBytes(tokens) - freeBytes;
    return String.format(
        Locale.ROOT,
        "%s: %s are needed (weights %s, keys and values of %d tokens %s, activations %s, libraries"
            + " %s), %s more than the %s that are free: %s",
        device,
        ByteSize.format(neededBytes(tokens)),
        ByteSize.format(weightBytes),
        tokens,
        ByteSize.format(tokens * kvBytesPerToken),
        ByteSize.format(activationBytes),
        ByteSize.format(runtimeBytes),
        ByteSize.format(missing),
        ByteSize.format(freeBytes),
        fitting >= MIN_CONTEXT_TOKENS
            ? "a context of %d tokens would fit".formatted(fitting)
            : "free memory there, or lay layers on other devices or the cpu with a device map");
  }
}
