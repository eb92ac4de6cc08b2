package org.tessera.cpu;

import org.tessera.device.Device;
import org.tessera.ops.SamplingConformance;

class CpuSamplingTest extends SamplingConformance {
  @Override
  protected Device openDevice() {
    return new CpuDevice(2, new PortableKernels());
  }
}
