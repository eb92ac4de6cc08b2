package org.tessera.cuda;

import org.junit.jupiter.api.extension.RegisterExtension;
import org.tessera.device.Device;
import org.tessera.ops.SamplingConformance;
import org.tessera.tensor.DType;

/** The conformance suite of sampling on a GPU; logits are floats whatever the activations are. */
class CudaSamplingGpuIT extends SamplingConformance {
  @RegisterExtension static final GpuDevice GPU = new GpuDevice(DType.BF16);

  @Override
  protected Device openDevice() {
    return GPU.device();
  }

  @Override
  protected void closeDevice() {}
}
