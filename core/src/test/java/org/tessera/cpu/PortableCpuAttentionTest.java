package org.tessera.cpu;

import org.tessera.device.Device;
import org.tessera.ops.AttentionConformance;

class PortableCpuAttentionTest extends AttentionConformance {
  @Override
  protected Device openDevice() {
    return new CpuDevice(3, new PortableKernels());
  }
}
