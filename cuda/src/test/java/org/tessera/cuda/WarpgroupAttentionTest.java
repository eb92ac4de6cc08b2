package org.tessera.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** attention_wgmma.cu on the host, with products and copies that end at any time they may. */
class WarpgroupAttentionTest {
  @TempDir Path folder;

  /**
   * Widths 72 and 128, dense and paged; warpgroups with no, one and several tiles, the same number
   * and different ones; rows that see nothing; maxima that grow beyond the headroom. Keys and
   * values that no row sees, and shared memory before it is written, are NaN.
   */
  @Test
  void attendsAsSoftmaxDoes() throws Exception {
    Path attend = HostKernels.compileAttention(folder);
    for (int seed = 1; seed <= 3; seed++) {
      assertThat(HostKernels.run(folder, List.of(attend.toString(), String.valueOf(seed))))
          .isEqualTo("ok\n");
    }
  }
}
