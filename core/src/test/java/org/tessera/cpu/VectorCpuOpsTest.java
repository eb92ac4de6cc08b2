package org.tessera.cpu;

import org.tessera.device.Device;
import org.tessera.ops.OpsConformance;

class VectorCpuOpsTest extends OpsConformance {
  @Override
  protected Device openDevice() {
    return new CpuDevice(2, new VectorKernels());
  }
}
