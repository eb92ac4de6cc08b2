package org.tessera.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Properties;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tessera.cuda.CudaTuning.Gemv;
import org.tessera.error.DeviceException;

class CudaTuningTest {
  private static CudaTuning of(String... namesAndValues) {
    Properties properties = new Properties();
    for (int i = 0; i < namesAndValues.length; i += 2) {
      properties.setProperty("tessera.cuda." + namesAndValues[i], namesAndValues[i + 1]);
    }
    return CudaTuning.of(properties);
  }

  @Test
  void propertiesChooseWhatDiffersFromTheDefault() {
    assertThat(of()).isEqualTo(CudaTuning.defaults());
    assertThat(
            of(
                "gemv", "clusters",
                "gemv.blocks", "2",
                "gemv.ahead", "8",
                "gemv.late", "true",
                "gemv.rows", "16",
                "matmul.candidates", "1",
                "attention.wgmma", "true"))
        .isEqualTo(new CudaTuning(Gemv.CLUSTERS, 2, 8, true, 16, 1, true));
  }

  @ParameterizedTest
  @CsvSource({
    "gemv, quick",
    "gemv.blocks, 3",
    "gemv.ahead, -2",
    "gemv.late, 1",
    "gemv.rows, x",
    "matmul.candidates, 0",
    "attention.wgmma, yes"
  })
  void otherValuesAreRefusedByName(String name, String value) {
    assertThatThrownBy(() -> of(name, value))
        .isInstanceOf(DeviceException.class)
        .hasMessageContaining("tessera.cuda." + name)
        .hasMessageContaining(value);
  }

  /** The matrices of the decoder on 132 multiprocessors, as measured: docs/performance.md. */
  @ParameterizedTest
  @CsvSource({
    "qkv, 4608, 3584, false",
    "o, 3584, 3584, false",
    "gate_up, 37888, 3584, false",
    "down, 3584, 18944, true",
    "lm_head, 151666, 3584, false"
  })
  void onlyLongRowsThatDivideUnevenlyAreShared(
      String matrix, int rows, int columns, boolean shared) {
    assertThat(CudaLinear.isShared(rows, columns, 132)).as(matrix).isEqualTo(shared);
  }
}
