package org.tessera.cpu;

import org.tessera.device.Device;
import org.tessera.ops.AttentionConformance;

class VectorCpuAttentionTest extends AttentionConformance {
  @Override
  protected Device openDevice() {
    return new CpuDevice(2, new VectorKernels());
  }
}
