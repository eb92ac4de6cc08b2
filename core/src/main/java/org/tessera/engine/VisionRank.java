package org.tessera.engine;

import java.util.List;
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

  VisionRank(VisionLanguageModel model, Device device) {
    this.model = model;
    this.device = device;
    workspace = new Workspace(device);
  }

  Device device() {
    return device;
  }

  /**
   * Features in memory of their own.
   *
   * @param rows [slices * query_num, hidden_size]
   */
  record Encoded(Device device, Tensor rows, DeviceMemory memory) implements AutoCloseable {
    @Override
    public void close() {
      memory.close();
    }
  }

  /** Encodes slices; the device may still be at work when this returns. */
  Encoded encode(List<ProcessedSlice> slices) {
    VisionLanguageModel.Spec spec = model.spec();
    DeviceMemory memory = device.allocateRegion();
    boolean done = false;
    try {
      Tensor rows =
          memory.allocate(
              device.activationType(), slices.size() * spec.queryNum(), spec.hiddenSize());
      model.encodeImages(slices, rows, workspace);
      done = true;
      return new Encoded(device, rows, memory);
    } finally {
      if (!done) {
        memory.close();
      }
    }
  }

  @Override
  public void close() {
    workspace.close();
  }
}
