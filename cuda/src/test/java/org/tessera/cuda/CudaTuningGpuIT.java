package org.tessera.cuda;

import java.util.List;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.tessera.cuda.CudaTuning.Gemv;
import org.tessera.device.Device;
import org.tessera.ops.AttentionConformance;
import org.tessera.ops.OpsConformance;
import org.tessera.tensor.DType;

/** The conformance suite in the ways that are not the default. */
class CudaTuningGpuIT {
  @Nested
  class Clusters extends OpsConformance {
    @RegisterExtension
    static final GpuDevice GPU =
        new GpuDevice(DType.BF16, new CudaTuning(Gemv.CLUSTERS, 1, 24, true, 8, 1, false));

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

  /** Whole rows, two blocks a multiprocessor, weights ahead in L2, up to 16 rows. */
  @Nested
  class SingleBlocks extends OpsConformance {
    @RegisterExtension
    static final GpuDevice GPU =
        new GpuDevice(DType.BF16, new CudaTuning(Gemv.SINGLE, 2, 8, true, 16, 1, false));

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

  /** Attention as on cards without products of warpgroups. */
  @Nested
  class WithoutWarpgroups extends AttentionConformance {
    @RegisterExtension
    static final GpuDevice GPU =
        new GpuDevice(DType.BF16, new CudaTuning(Gemv.SINGLE, 2, 8, false, 16, 1, false));

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
  class WithoutWarpgroupsF16 extends AttentionConformance {
    @RegisterExtension
    static final GpuDevice GPU =
        new GpuDevice(DType.F16, new CudaTuning(Gemv.CLUSTERS, 1, -1, false, 8, 1, false));

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
