package org.tessera.cpu;

import org.tessera.device.Device;
import org.tessera.ops.OpsConformance;

class PortableCpuOpsTest extends OpsConformance {
  @Override
  protected Device openDevice() {
    return new CpuDevice(3, new PortableKernels());
  }
}
