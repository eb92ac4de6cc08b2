package org.tessera.engine;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.device.Workspace;
import org.tessera.image.ProcessedSlice;
import org.tessera.model.VisionLanguageModel;
import org.tessera.tensor.Tensor;

/** A vision tower with its resampler on one device, for decoders that lie elsewhere too. */
final class VisionRank implements AutoCloseable {
  private final VisionLanguageModel model;
  private final Device device;
  private final Workspace workspace;
  private DeviceMemory memory;
  private @Nullable Tensor features;

  VisionRank(VisionLanguageModel model, Device device) {
    this.model = model;
    this.device = device;
    workspace = new Workspace(device);
    memory = device.allocateRegion();
  }

  Device device() {
    return device;
  }

  /**
   * Features, until the next slices are encoded.
   *
   * @param rows [slices * query_num, hidden_size]
   */
  record Encoded(Device device, Tensor rows) {}

  /** Encodes slices; the device may still be at work when this returns. */
  Encoded encode(List<ProcessedSlice> slices) {
    int count = slices.size() * model.spec().queryNum();
    Tensor rows = rows(count).rows(0, count);
    model.encodeImages(slices, rows, workspace);
    return new Encoded(device, rows);
  }

  /** Stays allocated: allocating and freeing stop a device's work. */
  private Tensor rows(int count) {
    Tensor held = features;
    if (held == null || held.rows() < count) {
      features = null;
      memory.close();
      memory = device.allocateRegion();
      held = memory.allocate(device.activationType(), count, model.spec().hiddenSize());
      features = held;
    }
    return held;
  }

  @Override
  public void close() {
    try {
      memory.close();
    } finally {
      workspace.close();
    }
  }
}
