package org.tessera.cuda;

import java.util.List;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.tessera.device.Device;
import org.tessera.ops.AttentionConformance;
import org.tessera.tensor.DType;

/** The conformance suite on a GPU, in both types of activations. */
class CudaAttentionGpuIT {
  @Nested
  class Bf16 extends AttentionConformance {
    @RegisterExtension static final GpuDevice GPU = new GpuDevice(DType.BF16);

    @Override
    protected Device openDevice() {
      return GPU.device();
    }

    @Override
    protected void closeDevice() {}

    @Override
    protected List<DType> weightTypes() {
      return List.of(DType.BF16);
    }
  }

  @Nested
  class F16 extends AttentionConformance {
    @RegisterExtension static final GpuDevice GPU = new GpuDevice(DType.F16);

    @Override
    protected Device openDevice() {
      return GPU.device();
    }

    @Override
    protected void closeDevice() {}

    @Override
    protected List<DType> weightTypes() {
      return List.of(DType.F16);
    }
  }
}
