package org.tessera.plan;

import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.tessera.error.PlanException;
import org.tessera.plan.ModuleTree.ModuleNode;
import org.tessera.plan.ModuleTree.TensorSpec;
import org.tessera.plan.Plan.PerDevice;

/**
 * Predicted memory of a model under a request. Weights and the KV cache are exact; activations are
 * the buffers that live at once in the widest layer, by the shapes of the network.
 */
final class MemoryModel {
  private static final int CPU_ACTIVATION_BYTES = 4;
  private static final int GPU_ACTIVATION_BYTES = 2;
  private static final int LOGIT_BYTES = 4;

  /** Side of a slice's pixel budget, in pixels: the original's {@code scale_resolution}. */
  private static final int SLICE_SIDE = 448;

  /**
   * Slices far from square round up to more patches than {@code (448 / 14)^2}: 1068 were seen on
   * random pictures and 1146 on a strip of 14 x 2000 pixels. An eighth more covers both.
   */
  private static final double PATCH_MARGIN = 1.125;

  /**
   * Room for a GPU's driver context, library workspaces, captured graphs and the counts that
   * sampling keeps, an int a token of the vocabulary for each sequence: an estimate.
   */
  private static final long GPU_RUNTIME_BYTES = 512L << 20;

  private final ModelSizes sizes;
  private final ModuleTree tree;
  private final PlanRequest request;
  private final Map<String, Long> loadedBytes;

  /** Fixed by sizes and request, in elements; the CPU computes in wider ones than a GPU. */
  private final long kvElementsPerLayer;

  private final long tokensAtOnce;
  private final long visionElements;
  private final long resamplerElements;
  private final long logitsBytes;

  /**
   * @throws PlanException where what is requested exceeds any memory
   */
  MemoryModel(ModelSizes sizes, ModuleTree tree, PlanRequest request) {
    this.sizes = sizes;
    this.tree = tree;
    this.request = request;
    this.loadedBytes = ModuleSizes.of(tree, this::loaded);
    long context = request.contextTokens();
    tokensAtOnce = Math.min(request.prefillTokens(), context * request.batch());
    long patches = patchesPerSlice();
    try {
      kvElementsPerLayer = product(context, request.batch(), 2L * sizes.keyValueWidth());
      product(tokensAtOnce, decoderWidth(1));
      visionElements = product(request.sliceCount(), patches, visionWidth());
      // Normalised input, keys with positions, keys and values; then the queries that come out.
      resamplerElements =
          product(request.sliceCount(), 4 * patches + sizes.queryNum(), sizes.hiddenSize());
      logitsBytes = product(request.batch(), sizes.vocabSize(), LOGIT_BYTES);
      product(sizes.numHiddenLayers(), CPU_ACTIVATION_BYTES, kvElementsPerLayer);
    } catch (ArithmeticException e) {
      throw new PlanException(
          "a context of %d tokens for %d sequences with %d slices is more than any memory holds"
              .formatted(request.contextTokens(), request.batch(), request.sliceCount()),
          e);
    }
  }

  /** Residual, normalised, query, keys and values, attention output, gate and up. */
  private long decoderWidth(int ranks) {
    long cut = 2L * sizes.queryWidth() + 2L * sizes.keyValueWidth() + 2L * sizes.intermediateSize();
    return 3L * sizes.hiddenSize() + Math.ceilDiv(cut, ranks);
  }

  /** Residual, normalised, attention output, queries, keys, values and the wide part of the MLP. */
  private long visionWidth() {
    return 6L * sizes.vision().hiddenSize() + sizes.vision().intermediateSize();
  }

  private long patchesPerSlice() {
    double side = Math.ceil((double) SLICE_SIDE / sizes.vision().patchSize());
    return (long) Math.ceil(PATCH_MARGIN * side * side);
  }

  private static long product(long... factors) {
    long product = 1;
    for (long factor : factors) {
      product = Math.multiplyExact(product, factor);
    }
    // Far below overflow, so that sums of a few such numbers need no check.
    return Math.multiplyExact(product, 64L) / 64;
  }

  private long loaded(TensorSpec tensor) {
    return ModuleSizes.loadedBytes(tensor, request.dtype());
  }

  PlanRequest request() {
    return request;
  }

  ModelSizes sizes() {
    return sizes;
  }

  /** Bytes of a module's weights as loaded. */
  long weightBytes(String path) {
    return loadedBytes.getOrDefault(path, 0L);
  }

  /** Weights and KV cache of one decoder layer. */
  long layerBytes(DeviceId device) {
    return weightBytes(MiniCpmModules.LAYERS + ".0") + kvBytesPerLayer(device);
  }

  long kvBytesPerLayer(DeviceId device) {
    return kvElementsPerLayer * elementBytes(device);
  }

  /** Activations of a decoder that is cut over {@code ranks} ranks, of one of them. */
  long decoderActivationBytes(DeviceId device, int ranks) {
    return tokensAtOnce * decoderWidth(ranks) * elementBytes(device);
  }

  long logitsBytes() {
    return logitsBytes;
  }

  /** Vision tower and resampler: weights and activations. */
  long visionBytes(DeviceId device) {
    return visionWeightBytes() + visionPeakBytes(device);
  }

  long visionWeightBytes() {
    return weightBytes(MiniCpmModules.VISION) + weightBytes(MiniCpmModules.RESAMPLER);
  }

  long visionPeakBytes(DeviceId device) {
    return (visionElements + resamplerElements) * elementBytes(device);
  }

  static long runtimeBytes(DeviceId device) {
    return device.isGpu() ? GPU_RUNTIME_BYTES : 0;
  }

  private static int elementBytes(DeviceId device) {
    return device.isGpu() ? GPU_ACTIVATION_BYTES : CPU_ACTIVATION_BYTES;
  }

  /** What each device of a placement that covers every parameter has to hold. */
  SortedMap<DeviceId, PerDevice> predict(Placement placement) {
    SortedMap<DeviceId, PerDevice> predicted = new TreeMap<>();
    SortedMap<DeviceId, Long> kvBytes = kvBytes(placement);
    weightBytes(placement)
        .forEach((device, weights) ->
            predicted.put(
                device,
                new PerDevice(
                    device.label(),
                    weights,
                    kvBytes.getOrDefault(device, 0L),
                    activationBytes(placement, device),
                    visionPeakBytes(placement, device),
                    runtimeBytes(device))));
    return predicted;
  }

  private SortedMap<DeviceId, Long> kvBytes(Placement placement) {
    SortedMap<DeviceId, Long> kvBytes = new TreeMap<>();
    for (int layer = 0; layer < sizes.numHiddenLayers(); layer++) {
      DeviceId device =
          placement.deviceOf(
              "%s.%d.self_attn.k_proj.weight".formatted(MiniCpmModules.LAYERS, layer));
      if (device != null) {
        kvBytes.merge(device, kvBytesPerLayer(device), Math::addExact);
      }
    }
    return kvBytes;
  }

  private long activationBytes(Placement placement, DeviceId device) {
    long decoder = holds(placement, device, "llm") ? decoderActivationBytes(device, 1) : 0;
    return decoder + (holds(placement, device, MiniCpmModules.LM_HEAD) ? logitsBytes : 0);
  }

  private long visionPeakBytes(Placement placement, DeviceId device) {
    long tower = holds(placement, device, MiniCpmModules.VISION) ? visionElements : 0;
    long resampler = holds(placement, device, MiniCpmModules.RESAMPLER) ? resamplerElements : 0;
    return (tower + resampler) * elementBytes(device);
  }

  private boolean holds(Placement placement, DeviceId device, String module) {
    return tree.parameters().keySet().stream()
        .anyMatch(path -> path.startsWith(module + ".") && device.equals(placement.deviceOf(path)));
  }

  /**
   * Bytes of weights by device. A tied tensor counts once on each device that has one of its names;
   * a buffer without a device of its own counts beside its module's first parameter.
   */
  private SortedMap<DeviceId, Long> weightBytes(Placement placement) {
    record Copy(DeviceId device, String owner) {}
    SortedMap<DeviceId, Long> bytes = new TreeMap<>();
    Set<Copy> counted = new HashSet<>();
    for (ModuleNode node : tree.modules()) {
      @Nullable DeviceId moduleDevice = null;
      for (TensorSpec tensor : node.parameters()) {
        String path = node.path(tensor.name());
        DeviceId device = placement.deviceOf(path);
        moduleDevice = moduleDevice == null ? device : moduleDevice;
        if (device != null && counted.add(new Copy(device, tree.owner(path)))) {
          bytes.merge(device, loaded(tensor), Math::addExact);
        }
      }
      for (TensorSpec buffer : node.buffers()) {
        DeviceId device = placement.deviceOf(node.path(buffer.name()));
        DeviceId where = device == null ? moduleDevice : device;
        if (where != null) {
          bytes.merge(where, loaded(buffer), Math::addExact);
        }
      }
    }
    return bytes;
  }
}
